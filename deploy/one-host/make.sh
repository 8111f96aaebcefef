#!/bin/sh
# One host with everything on it. Run as root on that host; run again, it changes nothing.
#
#   DOMAIN=example.com ./make.sh
#
#   DOMAIN      the mail domain
#   INTERMAIL   the site folder; else /var/lib/intermail
#   HOST        the name of the host in the site; else this machine's
set -eu
: "${DOMAIN:?the mail domain is missing: DOMAIN=example.com $0}"
INTERMAIL=${INTERMAIL:-/var/lib/intermail}
HOST=${HOST:-$(hostname -s)}

intermail init --site "$INTERMAIL" --host "$HOST" --roles all --domain "$DOMAIN" --yes
# The package makes this user; servers that run as it must own the site.
if id imail >/dev/null 2>&1; then chown -R imail: "$INTERMAIL"; fi

cat <<END

Next:
  intermail serve --site $INTERMAIL --user imail      (or the unit in deploy/systemd)
  intermail imdbcontrol --site $INTERMAIL ca alice $HOST - alice SECRET argon2id $DOMAIN
END
