"""The zoo's bulk resources."""

import bulkql

from .models import Animal, Berth, Car, Folder, Handle, Item, Keeper, Locker, Note, Reading, Shelf, Tag, Toy, Wheel


@bulkql.register(Keeper)
class Keepers(bulkql.BulkResource):
    fields = ("code",)
    match_fields = ("code",)


@bulkql.register(Animal)
class Animals(bulkql.BulkResource):
    fields = (
        "big",
        "binary",
        "boolean",
        "char",
        "date",
        "datetime",
        "decimal",
        "duration",
        "email",
        "number",
        "address",
        "integer",
        "json",
        "positive",
        "shout",
        "size",
        "slug",
        "plate",
        "text",
        "time",
        "token",
        "keeper",
        "born",
    )
    match_fields = ("token",)


@bulkql.register(Folder)
class Folders(bulkql.BulkResource):
    fields = ("name", "parent")
    match_fields = ("name",)


@bulkql.register(Reading)
class Readings(bulkql.BulkResource):
    fields = ("sensor", "day", "value")
    match_fields = ("sensor", "day")


@bulkql.register(Tag)
class Tags(bulkql.BulkResource):
    fields = ("name", "color", "number")
    match_fields = ("name",)


@bulkql.register(Note)
class Notes(bulkql.BulkResource):
    fields = ("title", "text", "tags", "keepers")
    match_fields = ("title",)


@bulkql.register(Shelf)
class Shelves(bulkql.BulkResource):
    name = "shelves"
    fields = ("code", "note")
    match_fields = ("code",)

    def get_queryset(self, user):
        return Shelf.objects.exclude(hidden=True)


@bulkql.register(Toy)
class Toys(bulkql.BulkResource):
    fields = ("sku", "name", "price", "stock", "shelf", "place")
    match_fields = ("sku",)

    def get_queryset(self, user):
        return Toy.objects.exclude(hidden=True)


@bulkql.register(Berth)
class Berths(bulkql.BulkResource):
    fields = ("cabin", "number", "guest")
    match_fields = ("cabin", "number")


@bulkql.register(Locker)
class Lockers(bulkql.BulkResource):
    fields = ("number", "keeper", "floor", "place", "label", "badge", "is_open")
    match_fields = ("number",)


@bulkql.register(Wheel)
class Wheels(bulkql.BulkResource):
    fields = ("name", "size", "spokes", "rim")
    match_fields = ("name",)


@bulkql.register(Handle)
class Handles(bulkql.BulkResource):
    fields = ("name", "size", "friend")
    match_fields = ("name",)


@bulkql.register(Car)
class Cars(bulkql.BulkResource):
    fields = ("plate", "maker", "chassis", "seats")
    match_fields = ("plate",)


@bulkql.register(Item)
class Items(bulkql.BulkResource):
    fields = ("code", "name", "qty", "big", "price", "ratio", "active", "day", "at", "note", "colour")
    match_fields = ("code",)
