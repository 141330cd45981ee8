"""Words for what Strawberry and Django leave undescribed, so that GraphiQL explains everything."""

from __future__ import annotations

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema


def complete(schema: GraphQLSchema) -> None:
    """Describe each type, field, argument and enum value that has no description yet."""
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        kind.description = kind.description or f"{name}."
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, field in kind.fields.items():
                field.description = field.description or WORDS.get(field_name, f"The {field_name}.")
                for argument_name, argument in field.args.items():
                    argument.description = argument.description or WORDS.get(argument_name, f"The {argument_name}.")
        if isinstance(kind, GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                # Strawberry would skip a lookup that is null; here it is refused (schema/checks/filters.py).
                is_skipped = "Filter will be skipped" in (field.description or "")
                words = None if is_skipped else field.description
                field.description = words or WORDS.get(field_name, f"By {field_name}.")
        if isinstance(kind, GraphQLEnumType):
            for value_name, value in kind.values.items():
                value.description = value.description or WORDS.get(value_name, value_name.capitalize())


WORDS = {
    "exact": "Equal to this value.",
    "isNull": "Whether the value is null.",
    "inList": "One of these values.",
    "gt": "Greater than this value.",
    "gte": "Greater than or equal to this value.",
    "lt": "Less than this value.",
    "lte": "Less than or equal to this value.",
    "range": "Between two values.",
    "iExact": "Equal to this text, in any case.",
    "contains": "Contains this text.",
    "iContains": "Contains this text, in any case.",
    "startsWith": "Begins with this text.",
    "iStartsWith": "Begins with this text, in any case.",
    "endsWith": "Ends with this text.",
    "iEndsWith": "Ends with this text, in any case.",
    "regex": "Matches this regular expression.",
    "iRegex": "Matches this regular expression, in any case.",
    "AND": "Also these.",
    "OR": "Or these.",
    "NOT": "But not these.",
    "DISTINCT": "Each row once.",
    "ASC": "Ascending.",
    "ASC_NULLS_FIRST": "Ascending, nulls first.",
    "ASC_NULLS_LAST": "Ascending, nulls last.",
    "DESC": "Descending.",
    "DESC_NULLS_FIRST": "Descending, nulls first.",
    "DESC_NULLS_LAST": "Descending, nulls last.",
    "offset": "How many to skip at the beginning.",
    "limit": "The most to return.",
    "filters": "Which rows.",
    "order": "In which order; earlier keys take precedence.",
    "ordering": "In which order; earlier keys take precedence.",
    "pagination": "Which page.",
    "start": "The lower end.",
    "end": "The upper end.",
    "year": "The year.",
    "month": "The month.",
    "day": "The day of the month.",
    "weekDay": "The day of the week, from 1 for Sunday.",
    "isoWeekDay": "The day of the week, from 1 for Monday.",
    "week": "The ISO week.",
    "isoYear": "The ISO year.",
    "quarter": "The quarter of the year.",
    "hour": "The hour.",
    "minute": "The minute.",
    "second": "The second.",
    "date": "The date part.",
    "time": "The time part.",
}
