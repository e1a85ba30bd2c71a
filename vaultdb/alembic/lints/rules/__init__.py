"""The rules: their names, and what to do about what they find."""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "grant-to-public": "grant to the role that needs it: op.grant([...], table, role)",
    "rls-disabled": "keep row-level security and write a policy for the role that needs more",
    "rls-not-forced": "say op.enable_rls(table), which forces it, or add FORCE ROW LEVEL SECURITY",
    "definer-search-path": (
        "add SET search_path = pg_catalog, pg_temp (pg_temp last), or make it SECURITY INVOKER"
    ),
    "alter-type-of-encrypted": (
        "add a second column with op.expand_encrypted_column and let a program with the key fill it"
    ),
    "index-on-ciphertext": "declare index=Equality() and use op.create_blind_index",
    "undeclared-access": "declare it beside the model: vaultdb.access(Model, ...)",
    "plaintext-dropped-early": (
        "backfill, then add CHECK (plaintext IS NULL OR encrypted IS NOT NULL) and validate it in "
        "an earlier revision"
    ),
    "bound-key-changed": (
        "values are bound to the bytes of their key: leave ON UPDATE out, and re-encrypt into a "
        "new table to change a key's type"
    ),
    "view-runs-as-owner": (
        "create it WITH (security_invoker = true), and no materialized view over encrypted columns"
    ),
    "encrypted-table-published": (
        "publish a list of columns without the encrypted ones and their companions"
    ),
    "storage-not-external": "use op.add_encrypted_column, or ALTER COLUMN ... SET STORAGE EXTERNAL",
    "policy-shows-all": "compare a column with a claim, or grant the rows to a role of its own",
    "not-inspected": (
        "let upgrade() run without a database (context.is_offline_mode()), or look at the rest of"
        " it and allow it"
    ),
    "allowed-without-reason": "write: # vaultdb: allow <rule> because <why it is safe here>",
    "unknown-rule": "see docs/reference/migrations.md for the names of the rules",
}
"""Rule to remedy, in the order of the documentation."""
