#!/bin/bash
# What the official image's entry point does for our compose file, and no more: where the data folder is empty it starts
# mongod for this container alone, makes the first user, runs the scripts, and stops it; then it becomes the command
# that it was given, with users asked for.
set -euo pipefail

if [ "${1:-}" != mongod ]; then
    exec "$@"
fi

if [ ! -e /data/db/WiredTiger ]; then
    mongod --dbpath /data/db --bind_ip 127.0.0.1 --fork --logpath /tmp/first-start.log \
        --pidfilepath /tmp/first-start.pid >/dev/null
    mongosh --quiet --norc --host 127.0.0.1 admin --eval '
        db.createUser({
            user: process.env.MONGO_INITDB_ROOT_USERNAME,
            pwd: process.env.MONGO_INITDB_ROOT_PASSWORD,
            roles: [{ role: "root", db: "admin" }],
        })'
    for script in /docker-entrypoint-initdb.d/*.js; do
        [ -e "$script" ] && mongosh --quiet --norc --host 127.0.0.1 test "$script"
    done
    mongod --dbpath /data/db --shutdown >/dev/null
fi

exec "$@" --auth
