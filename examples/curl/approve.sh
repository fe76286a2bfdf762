#!/usr/bin/env bash
# Approves orders up to LIMIT and refuses the others: a participant that is nothing but curl and jq.
#
# It looks which processes wait for a signal and gives it. Saying the same thing twice does no harm, so nothing has
# to be remembered: what was answered no longer waits. `approve.sh once` looks once; without it, for ever.
set -euo pipefail

URL=${SAGA_URL:-http://127.0.0.1:8003}
LIMIT=${LIMIT:-500}

ask() { # ask <path> [curl's options ...]
    local headers=()
    [ -n "${SAGA_TOKEN:-}" ] && headers=(--header "Authorization: Bearer $SAGA_TOKEN")
    curl --silent --show-error --fail --max-time 10 "${headers[@]}" "${@:2}" "$URL$1"
}

answer() { # answer <command id> <completed or failed> <body>
    ask "/step/$1/$2" --header 'Content-Type: application/json' --data "$3" >/dev/null
    echo "$1 $2"
}

look() {
    local id process command amount
    for id in $(ask '/process?process_type=order_fulfilment&status=started&limit=200' | jq -r '.[].process_id'); do
        process=$(ask "/process/$id")
        command=$(jq -r '.waiting_for[] | select(.kind == "signal") | .command_id' <<<"$process")
        [ -n "$command" ] || continue
        amount=$(jq -r '.parameters.amount' <<<"$process")
        if jq --exit-status --null-input "$amount <= $LIMIT" >/dev/null; then
            answer "$command" completed '{"output": {"by": "approve.sh"}}'
        else
            answer "$command" failed '{"error": {"code": "not_approved", "message": "too much", "retryable": false}}'
        fi
    done
}

if [ "${1:-}" = once ]; then
    look
else
    while true; do
        look || echo "not reachable or refused; trying again" >&2
        sleep 1
    done
fi
