#!/bin/sh
# Checks the files that are deployed: scripts, unit, alert rules, the broker's configuration.
# What a check needs and the machine lacks is named, and that check is left out.
set -eu
cd "$(dirname "$0")/.."

missing() {
    echo "deploy-check: NOT CHECKED, $1 is not installed: $2"
}

if command -v shellcheck >/dev/null 2>&1; then
    shellcheck deploy/*.sh
else
    missing shellcheck "the shell scripts"
fi

if command -v promtool >/dev/null 2>&1; then
    promtool check rules deploy/prometheus/tieline.rules.yml >/dev/null
else
    missing promtool "the alert rules"
fi
# Every metric that a rule names is one that the daemon has.
grep -o 'tieline_[a-z_]*' deploy/prometheus/tieline.rules.yml | sort -u | while read -r name; do
    base=$(printf '%s' "$name" | sed 's/_bucket$//')
    grep -q "\"$base\"" schemas/metrics.json || {
        echo "deploy-check: $name is in the alert rules, but not in schemas/metrics.json" >&2
        exit 1
    }
done

if command -v systemd-analyze >/dev/null 2>&1; then
    # The binary is not installed where the unit expects it; everything else has to be right.
    if systemd-analyze verify deploy/systemd/tieline@.service 2>&1 | grep -v 'not executable\|/usr/bin/tieline' | grep 'tieline@'; then
        echo "deploy-check: the unit is not valid" >&2
        exit 1
    fi
else
    missing systemd-analyze "the unit"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build -q -p tieline
for org in acme globex; do
    target/debug/tieline init --org "$org" --data "$work/$org" >/dev/null 2>&1
done
target/debug/tieline broker config --org-keys "$work/acme/keys" --org-keys "$work/globex/keys" \
    --listen 127.0.0.1:4222 --store-dir "$work/store" >"$work/nats.conf"
"$(deploy/nats-server.sh)" -t -c "$work/nats.conf" >/dev/null 2>&1 || {
    echo "deploy-check: nats-server does not take the broker's configuration" >&2
    exit 1
}
echo "deploy-check: ok"
