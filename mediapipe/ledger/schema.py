"""The ledger's tables as this version of the code knows them.

* Instants are whole microseconds since 1970 (UTC) in a BIGINT: exact, so that touching coverage spans
  compare equal, sortable, and the same on every database (SQLite has no timestamp type).
* ``detail`` and ``counts`` are JSON text: nobody queries inside them.
* Scopes are numbered, so that a row of a million does not repeat account and destination.
* ``owner``, ``fence`` and ``lease`` say who holds an item. ``lease`` is 0 when the claim was let go;
  ``owner`` stays, so that the same receipt can be handed in again, and is emptied by a release.
* There are no foreign keys: scopes are never deleted, and on PostgreSQL every claim would lock its
  scope's row.
* Text keys sort by code point on both databases, so pages come in the same order everywhere.

The tables are made by ``migrations``; a test holds the two equal.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, MetaData, Table, Text, text

SCHEMA_VERSION = 1
"""What ``migrations`` brings a database to."""

metadata = MetaData()

_Number = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only when the column's type is exactly INTEGER."""

_Key = Text().with_variant(Text(collation="C"), "postgresql")

meta = Table(
    "ledger_meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

scopes = Table(
    "ledger_scopes",
    metadata,
    Column("id", _Number, Identity(), primary_key=True),
    Column("job", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Index("ledger_scopes_name", "job", "account", "destination", unique=True),
)

runs = Table(
    "ledger_runs",
    metadata,
    Column("seq", _Number, Identity(), primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("scope_id", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("finished", BigInteger),
    Column("exit_code", BigInteger),
    Column("counts", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index("ledger_runs_id", "run_id", unique=True),
    Index("ledger_runs_scope", "scope_id"),
)

items = Table(
    "ledger_items",
    metadata,
    Column("scope_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", _Key, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("at", BigInteger),
    Column("state", Text, nullable=False),
    Column("found", Text, nullable=False),  # the state that the latest claim found
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease", BigInteger, nullable=False),  # the instant it runs out; 0: let go
    # Serves `items` (a few open rows among a million done ones, in key order) and `counts`.
    Index("ledger_items_state", "scope_id", "state", "key"),
    # Serves `holders` and `release`; holds live claims only.
    Index(
        "ledger_items_held",
        "scope_id",
        "owner",
        sqlite_where=text("lease > 0"),
        postgresql_where=text("lease > 0"),
    ),
    sqlite_with_rowid=False,
)

coverage = Table(
    "ledger_coverage",
    metadata,
    Column("scope_id", BigInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

anchors = Table(
    "ledger_anchors",
    metadata,
    Column("scope_id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

facts = Table(
    "ledger_facts",
    metadata,
    Column("scope_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
