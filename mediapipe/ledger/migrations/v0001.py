"""Version 1: the first tables. Frozen: a later change is a later version.

``$number`` is a column that the database counts up, ``$key`` a text that sorts by code point,
``$compact`` stores a table in its primary key where the database can.
"""

from __future__ import annotations

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE ledger_scopes (
        id $number PRIMARY KEY,
        job TEXT NOT NULL,
        account TEXT NOT NULL,
        destination TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX ledger_scopes_name ON ledger_scopes (job, account, destination)",
    """
    CREATE TABLE ledger_runs (
        seq $number PRIMARY KEY,
        run_id TEXT NOT NULL,
        scope_id BIGINT NOT NULL,
        owner TEXT NOT NULL,
        started BIGINT NOT NULL,
        finished BIGINT,
        exit_code BIGINT,
        counts TEXT NOT NULL,
        bytes BIGINT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX ledger_runs_id ON ledger_runs (run_id)",
    "CREATE INDEX ledger_runs_scope ON ledger_runs (scope_id)",
    """
    CREATE TABLE ledger_items (
        scope_id BIGINT NOT NULL,
        key $key NOT NULL,
        subject TEXT NOT NULL,
        at BIGINT,
        state TEXT NOT NULL,
        found TEXT NOT NULL,
        reason TEXT NOT NULL,
        message TEXT NOT NULL,
        detail TEXT NOT NULL,
        attempts BIGINT NOT NULL,
        run_id TEXT NOT NULL,
        first_seen BIGINT NOT NULL,
        updated BIGINT NOT NULL,
        owner TEXT NOT NULL,
        fence BIGINT NOT NULL,
        lease BIGINT NOT NULL,
        PRIMARY KEY (scope_id, key)
    ) $compact
    """,
    "CREATE INDEX ledger_items_state ON ledger_items (scope_id, state, key)",
    "CREATE INDEX ledger_items_held ON ledger_items (scope_id, owner) WHERE lease > 0",
    """
    CREATE TABLE ledger_coverage (
        scope_id BIGINT NOT NULL,
        start BIGINT NOT NULL,
        "end" BIGINT NOT NULL,
        PRIMARY KEY (scope_id, start)
    ) $compact
    """,
    """
    CREATE TABLE ledger_anchors (
        scope_id BIGINT NOT NULL PRIMARY KEY,
        at BIGINT NOT NULL
    ) $compact
    """,
    """
    CREATE TABLE ledger_facts (
        scope_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (scope_id, name)
    ) $compact
    """,
)
