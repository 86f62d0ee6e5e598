#!/bin/sh
# Puts the dashboards into a Grafana that runs already, and replaces older ones of the same ids.
#
#   GRAFANA_TOKEN=… examples/deploy/import.sh http://localhost:3000
#
# The token is that of a service account with the role Editor. Without one, Grafana must let everyone edit.
set -eu
grafana=${1:?usage: import.sh http://HOST:PORT}
for file in "$(dirname "$0")"/grafana/dashboards/*.json; do
    printf '{"overwrite": true, "dashboard": %s}' "$(cat "$file")" |
        curl --fail-with-body --silent --show-error --output /dev/null \
            --header 'Content-Type: application/json' \
            ${GRAFANA_TOKEN:+--header "Authorization: Bearer $GRAFANA_TOKEN"} \
            --data-binary @- "$grafana/api/dashboards/db"
    echo "$(basename "$file" .json)"
done
