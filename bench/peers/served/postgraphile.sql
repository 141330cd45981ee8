-- PostGraphile's mutations, createTransactions and upsertTransactions: a VOLATILE function is one.
CREATE SCHEMA bench_postgraphile;

CREATE FUNCTION bench_postgraphile.create_transactions(rows json) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO ledger_financialtransaction
        (amount, description, datetime, financial_account_id, classification_status_id)
    SELECT amount, description, datetime, financial_account, classification_status
    FROM json_to_recordset(rows) AS row (
        amount numeric, description text, datetime timestamptz, financial_account bigint, classification_status bigint
    )
$$;

CREATE FUNCTION bench_postgraphile.upsert_transactions(rows json) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO ledger_financialtransaction
        (amount, description, datetime, financial_account_id, classification_status_id)
    SELECT amount, description, datetime, financial_account, classification_status
    FROM json_to_recordset(rows) AS row (
        amount numeric, description text, datetime timestamptz, financial_account bigint, classification_status bigint
    )
    ON CONFLICT (financial_account_id, datetime) DO UPDATE SET
        amount = excluded.amount,
        description = excluded.description,
        classification_status_id = excluded.classification_status_id
$$;
