#!/usr/bin/env bash
# A test of a program that sends by WhatsApp, without WhatsApp: docs/ci-example.sh PATH-TO-session-manager
# Needs a Chrome, curl and jq. Everything is in a folder of its own and gone at the end.
set -euo pipefail

binary=$(realpath "${1:?usage: $0 PATH-TO-session-manager}")
world=$(mktemp -d)
cd "$world" # no .env of yours is found from here
PORT=${PORT:-3911} SANDBOX_PORT=${SANDBOX_PORT:-3912} SANDBOX=1 DATA_DIR=$world/data \
    SANDBOX_ACK_SECONDS=0.1 SEND_RATE_PER_MINUTE=0 "$binary" >service.log 2>&1 &
service=$!
clean_up() {
    local code=$?
    [ $code -eq 0 ] || cat service.log >&2
    kill "$service" 2>/dev/null && wait "$service" 2>/dev/null # asked, it closes its Chromes
    rm -rf "$world"
    exit $code
}
trap clean_up EXIT

api=http://127.0.0.1:${PORT:-3911}
phone=http://127.0.0.1:${SANDBOX_PORT:-3912}/phone
post() { curl -sS --max-time 90 -H 'Content-Type: application/json' "$@"; }

# Up as soon as it answers.
curl -s --retry 60 --retry-delay 1 --retry-connrefused -o /dev/null "$api/health"

# Link: connect until there is a code, scan it, wait until READY.
post "$api/connect" -d '{"cliente_id": 51}' >/dev/null
code=$(curl -sS "$api/qr?cliente_id=51&format=raw")
account=$(post "$phone/scan" -d "{\"code\": \"$code\"}" | jq -er .account)
[ "$(post "$api/connect" -d '{"cliente_id": 51, "wait": "ready"}' | jq -r .state)" = READY ]

# Here your program sends. This one repeats itself, as a program does that got no answer.
for _ in 1 2; do
    post "$api/send" -H 'Idempotency-Key: order-1234' \
        -d '{"cliente_id": 51, "to": "5491158254201", "message": "Your order is on its way"}' | jq -e .success >/dev/null
done

# What WhatsApp's server got: one message.
got=$(curl -sS "$phone/messages?account=$account" | jq -c '[.[] | {to, body}]')
[ "$got" = '[{"to":"5491158254201","body":"Your order is on its way"}]' ] || {
    echo "the server got $got" >&2
    exit 1
}
echo "one message, as it should be"
