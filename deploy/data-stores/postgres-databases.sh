#!/bin/sh
# Runs once, when the data directory is made: one role and one database per service, closed to all others.
set -eu
export PGPASSWORD="$POSTGRES_PASSWORD"

make_database() { # name, password (hexadecimal)
    psql -v ON_ERROR_STOP=1 -v name="$1" -v password="$2" -U "$POSTGRES_USER" -d postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database ingest "$POSTGRES_INGEST_PASSWORD"
make_database tiers "$POSTGRES_TIERS_PASSWORD"
