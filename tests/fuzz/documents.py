"""Documents that the schema itself tells how to make, sent to the service: no 500, no INTERNAL, no traceback, no wait.

    python -m tests.fuzz.documents --count 10000 --seed 1

Every argument and input type is given what is right, what is wrong, and what no database takes; so are headers. The
service runs in this process, on a PostgreSQL and a Redis of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import httpx
import psutil
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, from_schema, nodes
from rich.console import Console

from tests.fuzz.progress import Progress, table_of

#: Seconds in which every document is answered.
SECONDS = 2
#: Levels of input objects and of selections.
LEVELS = 4
#: The zoo's table in partitions: nobody has created it here.
ABSENT = "readings"
#: Digits that stand for themselves in JSON; Python would not write so long a number.
LONG_NUMBER = "@LONG@"

#: Texts that patterns, cursors and names may be made of, and that a column of texts takes.
TEXTS: list[Any] = [
    "",
    "a",
    "ada",
    "red",
    "Open",
    "tag 1",
    "(",
    "[b-a]",
    "(a+)+$",
    "a{99999}",
    "\\",
    "%",
    "_",
    "'; DROP TABLE x; --",
    "null",
    "NaN",
    "é" * 300,
    "x" * 10_000,
    "\u202e\u200b\ufeff",
    "MDowOjA=",
    "LTE6MDow",
    "OTk5OTk5OTk5OTk6MDow",
    "\U0001f600",
]
INTEGERS: list[Any] = [*range(-3, 12), 1_000, 1_001, 99_999, 2**31 - 1, -(2**31)]
#: What fits a scalar, with the ends of what fits; all others take texts.
SCALARS: dict[str, list[Any]] = {
    "Int": INTEGERS,
    "Float": [*INTEGERS, 0.5, -0.0, 1e308, 5e-324],
    "Boolean": [True, False],
    "ID": ["1", "2", 3, "-1", "0", "abc", "9" * 30, "9" * 5_000, "00000000-0000-0000-0000-000000000000", *TEXTS],
    "BigInt": [*INTEGERS, str(2**63 - 1), 2**62],
    "Decimal": ["0", "1.5", "-1", "1e999", "1e999999", "NaN", "-Infinity", "9" * 30, "0." + "1" * 50],
    "Date": ["2024-01-01", "0001-01-01", "9999-12-31"],
    "DateTime": [
        "2024-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999-23:59",
        "0001-01-01T00:00:00",
        "2024-03-31T02:30:00",
    ],
    "Time": ["12:00:00", "12:00:00+01:00", "23:59:59.999999"],
    "UUID": ["00000000-0000-0000-0000-000000000000", "5b6ad2ba-8b1c-4d2b-9a44-2b5b0b1f7a11"],
    "JSON": [None, 1, "a", [], {}, [[None, 0.5]], {"a": {"": "b"}}],
}
#: What no database, or no scalar, takes.
WRONG: list[Any] = [
    "\0",
    "a\0b",
    "\ud800",
    "a\udfffb",
    "2024-02-30",
    "24:00:00",
    "P99999999999D",
    "9" * 5_000,
    2**31,
    -(2**63) - 1,
    10**30,
    LONG_NUMBER,
    float("nan"),
    float("inf"),
    True,
    [],
    {},
    [[None]],
    {"a": {"\0": "\ud800"}},
]
HEADERS = st.dictionaries(
    st.sampled_from(
        ["accept", "content-type", "cookie", "origin", "x-csrftoken", "accept-language", "host", "referer", "if-match"]
    ),
    st.one_of(
        st.sampled_from(
            [
                "",
                "*/*",
                "application/json",
                "application/json; charset=utf-16",
                "application/graphql-response+json",
                "multipart/form-data",
                "text/html;q=nan",
                "sessionid=x; csrftoken=\xff",
                "x" * 4_000,
            ]
        ),
        st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20),
    ),
    max_size=2,
)


@dataclass(frozen=True, kw_only=True)
class Document:
    """One request."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        text = json.dumps({"query": self.query, "variables": self.variables})
        return text.replace(f'"{LONG_NUMBER}"', "7" * 5_000).encode()


class Documents:
    """Documents of one schema: what is asked is right, and most of what it is given."""

    def __init__(self, schema: GraphQLSchema, random: Random) -> None:
        self._schema = schema
        self._random = random
        #: One value in so many is wrong, and one is null.
        self._faithful = random.choice([10, 100, 10_000, 10_000])
        self._variables: dict[str, tuple[str, Any]] = {}

    def document(self) -> Document:
        roots = {
            "query": self._schema.query_type,
            "mutation": self._schema.mutation_type,
            "subscription": self._schema.subscription_type,
        }
        kind = self._random.choices(list(roots), [5, 10, 1])[0]
        root = roots[kind]
        assert root is not None
        names = self._random.choices(sorted(root.fields.keys() - {ABSENT}), k=self._random.choice([1, 1, 1, 2]))
        fields = [f"f{n}: {self._field(name, root.fields[name], 0)}" for n, name in enumerate(names)]
        defined = ", ".join(f"${name}: {of_type}" for name, (of_type, _) in self._variables.items())
        return Document(
            query=f"{kind} Fuzz{f'({defined})' if defined else ''} {{ {' '.join(fields)} }}",
            variables={name: value for name, (_, value) in self._variables.items()},
        )

    def _field(self, name: str, definition: Any, level: int) -> str:
        arguments = []
        for argument, one in definition.args.items():
            if isinstance(one.type, GraphQLNonNull) or self._random.random() < 0.5:
                variable = f"v{len(self._variables)}"
                self._variables[variable] = (str(one.type), self._value(one.type, 0))
                arguments.append(f"{argument}: ${variable}")
        text = f"{name}({', '.join(arguments)})" if arguments else name
        kind = get_named_type(definition.type)
        return text if is_leaf_type(kind) else f"{text} {{ {self._selection(kind, level + 1)} }}"

    def _selection(self, kind: Any, level: int) -> str:
        names = [name for name, one in kind.fields.items() if level < LEVELS or is_leaf_type(get_named_type(one.type))]
        chosen = self._random.sample(names, min(len(names), self._random.randint(0, 4)))
        told = [f"s{n}: {self._field(name, kind.fields[name], level)}" for n, name in enumerate(chosen)]
        return " ".join(["__typename", *told])

    def _value(self, kind: Any, level: int) -> Any:
        """What fits a type; now and then something else."""
        if isinstance(kind, GraphQLNonNull):
            return self._value(kind.of_type, level)
        fate = self._random.randint(0, self._faithful)
        if fate == 0:
            return self._random.choice(WRONG)
        if fate == 1:
            return None
        if isinstance(kind, GraphQLList):
            return [self._value(kind.of_type, level) for _ in range(self._random.choice([0, 1, 1, 1, 2, 2, 3, 3]))]
        if isinstance(kind, GraphQLEnumType):
            return self._random.choice(list(kind.values))
        if isinstance(kind, GraphQLScalarType):
            return self._scalar(kind)
        assert isinstance(kind, GraphQLInputObjectType)
        return {name: self._value(kind.fields[name].type, level + 1) for name in self._chosen(kind, level)}

    def _scalar(self, kind: GraphQLScalarType) -> Any:
        if kind.name in SCALARS or self._random.random() < 0.5:
            return self._random.choice(SCALARS.get(kind.name, TEXTS))
        ends = self._random.choice([0x7F, 0xFF, 0xD7FF])
        return "".join(chr(self._random.randint(1, ends)) for _ in range(self._random.randint(0, 8)))

    def _chosen(self, kind: GraphQLInputObjectType, level: int) -> list[str]:
        """The fields that an input object is given: what it must have, and a few others."""
        chosen = [name for name, one in kind.fields.items() if isinstance(one.type, GraphQLNonNull)]
        others = [
            name
            for name, one in kind.fields.items()
            if name not in (*chosen, ABSENT) and (level < LEVELS or is_leaf_type(get_named_type(one.type)))
        ]
        sources = [name for name in others if name in SOURCES]
        if len(sources) > 1:  # an input takes exactly one of them
            chosen.append(self._random.choice([name for name in sources if name != "file"] * 4 + ["file"]))
            others = [name for name in others if name not in SOURCES]
        least = 0 if chosen else 1
        most = 1 if kind.is_one_of else 3
        count = min(len(others), self._random.randint(least, most))
        return [*chosen, *self._random.sample(others, count)]


#: The fields of a resource's input that name rows.
SOURCES = ("rows", "ids", "keys", "where", "all", "file")


def literals(schema: GraphQLSchema) -> st.SearchStrategy[Document]:
    """Documents with literals, as hypothesis-graphql makes them: right ones, and wrong ones."""
    known = {"Int", "Float", "String", "Boolean", "ID"}
    scalars = {
        name: st.sampled_from(SCALARS.get(name, TEXTS)).map(str).map(nodes.String)
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLScalarType) and name not in known
    }
    modes = (Mode.POSITIVE, Mode.NEGATIVE)
    made = st.one_of(*(from_schema(schema, custom_scalars=scalars, mode=mode) for mode in modes))
    return made.map(str).filter(lambda text: ABSENT not in text).map(lambda text: Document(query=text))


def documents(schema: GraphQLSchema) -> st.SearchStrategy[Document]:
    """One in thirty has literals, one in ten has headers. Ours are made of a number: to draw each of their values from
    hypothesis takes ten times as long as to answer them."""
    own = st.integers(0, 2**64).map(lambda number: Documents(schema, Random(number)).document())
    with_headers = st.builds(lambda one, headers: replace(one, headers=headers), own, HEADERS)
    return st.integers(0, 29).flatmap(
        lambda fate: literals(schema) if fate == 0 else with_headers if fate <= 3 else own
    )


@dataclass
class Report:
    """What was seen."""

    count: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    messages: Counter[str] = field(default_factory=Counter)
    #: What is wrong -> the shortest request that shows it.
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, fault: str, document: Document, answer: str) -> None:
        shown = f"{document.query}\n{document.body()[:3_000].decode()}\n{document.headers}\n{answer[:600]}"
        if fault not in self.faults or len(shown) < len(self.faults[fault]):
            self.faults[fault] = shown


class Log(logging.Handler):
    """What the service logs that it should not."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR or "Traceback" in record.getMessage():
            self.lines.append(f"{record.name}: {record.getMessage()}{' (traceback)' if record.exc_info else ''}")


@contextmanager
def logged() -> Iterator[Log]:
    log, names = Log(), ("", "bulkql", "django", "django.request", "strawberry.execution", "asyncio")
    for name in names:
        logging.getLogger(name).addHandler(log)
    try:
        yield log
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(log)


def run(
    schema: GraphQLSchema,
    application: Any,
    token: str,
    count: int,
    number: int,
    prepare: Any,
    progress: Progress | None = None,
) -> Report:
    """Send so many documents; `prepare` is called before every fiftieth, to put rows into tables."""
    report = Report()
    loop = asyncio.new_event_loop()
    transport = httpx.ASGITransport(application)
    client = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)

    async def send(document: Document) -> httpx.Response:
        headers = {
            b"content-type": b"application/json",
            **{name.encode(): value.encode("latin-1") for name, value in document.headers.items()},
            b"authorization": f"Bearer {token}".encode(),
        }
        return await client.post("/graphql", content=document.body(), headers=list(headers.items()))

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(documents(schema))
    def ask(document: Document) -> None:
        if report.count % 50 == 0:
            SCALARS["ID"] += prepare()
        report.count += 1
        if progress:
            progress.tell(report.count, list(report.faults))
        with logged() as log:
            answer, seconds = timed(document)
            if seconds > SECONDS:  # the machine may have been busy; a document that is slow takes CPU, here or there
                begun = cpu_seconds()
                answer, _ = timed(document)
                seconds = cpu_seconds() - begun
        report.seconds += seconds
        report.slowest = max(report.slowest, seconds)
        look_at(report, document, answer, seconds, log)

    def timed(document: Document) -> tuple[httpx.Response | Exception, float]:
        start = time.monotonic()
        try:
            answer: httpx.Response | Exception = loop.run_until_complete(send(document))
        except Exception as error:  # whatever the application raises is what is looked for here
            answer = error
        return answer, time.monotonic() - start

    try:
        ask()
    except KeyboardInterrupt:
        print("stopped")  # what was seen until now is told all the same
    finally:
        loop.run_until_complete(client.aclose())
        loop.close()
    return report


def cpu_seconds() -> float:
    """Of this process, and of the servers that it has started."""
    found = 0.0
    for one in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):
            found += sum(one.cpu_times()[:2])
    return found


def look_at(report: Report, document: Document, answer: httpx.Response | Exception, seconds: float, log: Log) -> None:
    """Enter what is wrong with an answer."""
    if isinstance(answer, Exception):
        report.add(f"raised {type(answer).__name__}: {answer}"[:200], document, "")
        return
    if answer.status_code >= 500:
        report.add(f"status {answer.status_code}", document, answer.text)
    if seconds > SECONDS:
        report.add(f"took {seconds:.1f} seconds", document, answer.text)
    for line in log.lines:
        report.add(line[:200], document, answer.text)
    if not answer.headers.get("content-type", "").startswith("application/"):
        report.codes[f"status {answer.status_code}, no JSON"] += 1
        return
    errors = answer.json().get("errors") or []
    for error in errors:
        code = error.get("extensions", {}).get("code", "no code")
        report.codes[code] += 1
        report.messages[error["message"][:60]] += 1
        if code in ("INTERNAL", "no code", "UNAVAILABLE"):
            report.add(f"{code}: {error['message'][:100]}", document, answer.text)
    report.codes["answered"] += not errors


def prepared() -> list[str]:
    """Rows to ask for and to delete; gives ids of operations."""
    from bulkql.workers.models import Operation
    from tests.zoo.models import Animal, Keeper, Shelf, Tag, Toy

    Tag.objects.bulk_create(
        [Tag(name=f"tag {number}", color="red", number=number) for number in range(3)], ignore_conflicts=True
    )
    Keeper.objects.get_or_create(code="ada")
    shelf, _ = Shelf.objects.get_or_create(code="a")
    hidden, _ = Shelf.objects.get_or_create(code="b", defaults={"hidden": True})
    Toy.objects.get_or_create(sku="1", defaults={"name": "ball", "shelf": shelf})
    Toy.objects.get_or_create(sku="2", defaults={"name": "kite", "shelf": hidden})
    Animal.objects.get_or_create(char="ant", defaults={"keeper_id": "ada", "decimal": "1.5", "date": "2024-01-01"})
    return [str(pk) for pk in Operation.objects.order_by("-created_at").values_list("pk", flat=True)[:4]]


def main() -> int:
    """The program: servers, tables, a user, and so many documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--messages", type=int, default=0, help="the most common errors that are printed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    import django

    import tests.servers  # starts PostgreSQL and Redis, before Django reads its settings

    assert tests.servers.stack
    os.environ["DJANGO_SETTINGS_MODULE"] = "bulkql.server.settings"
    django.setup()

    from django.contrib.auth.models import User
    from django.core.management import call_command

    from bulkql.schema.schema import schema
    from bulkql.server.asgi import application
    from bulkql.server.auth import token_for

    call_command("migrate", run_syncdb=True, verbosity=0)
    user = User.objects.create_superuser("fuzz")
    console = Console(width=130)
    progress = Progress(console, options.count)
    report = run(schema()._schema, application, token_for(user), options.count, options.seed, prepared, progress)
    for message, times in report.messages.most_common(options.messages):
        print(f"{times:6} {message!r}")
    for fault, shown in report.faults.items():
        print(f"\n== {fault}\n{shown}")
    figures = {
        "documents": report.count,
        **dict(report.codes.most_common()),
        "slowest, s": f"{report.slowest:.2f}",
        "seconds in the service": round(report.seconds),
        "seconds": round(progress.seconds),
        "kinds of faults": len(report.faults),
    }
    console.print(table_of(f"Documents, seed {options.seed}", figures))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
