#!/bin/sh
# A site of six hosts: configuration and directory, two front ends, two stores, a queue. Run on the first host, venus;
# it writes one invitation for each of the others. Carry them there as you would carry private keys, and on each:
#
#   intermail init --site /var/lib/intermail --join NAME.invitation
#   intermail serve --site /var/lib/intermail --user imail
#
# The directory lies in PostgreSQL, which venus and both front ends reach; each of them keeps a copy and works on with it
# while the database is away. Run again, it changes nothing but the invitations, which are written anew.
#
#   DOMAIN=example.com DATABASE=postgres://imail@db.example.com/isd VENUS=192.0.2.1 JOVE=192.0.2.2 ... ./make.sh
#
#   DOMAIN      the mail domain
#   DATABASE    the address of the directory's database (the key primaryDBUrl says its form)
#   VENUS JOVE JUNO MARS MINERVA VULCAN
#               addresses by which the hosts reach each other
#   INTERMAIL   the site folder; else /var/lib/intermail
set -eu
: "${DOMAIN:?the mail domain is missing}" "${DATABASE:?the address of the database is missing}"
: "${VENUS:?}" "${JOVE:?}" "${JUNO:?}" "${MARS:?}" "${MINERVA:?}" "${VULCAN:?}"
INTERMAIL=${INTERMAIL:-/var/lib/intermail}

invite() {
    intermail invite --site "$INTERMAIL" "$1" --address "$2" --roles "$3" --out "$1.invitation"
}

intermail init --site "$INTERMAIL" --host venus --address "$VENUS" --roles imconfserv,imdircacheserv \
    --domain "$DOMAIN" --set "/*/common/primaryDBUrl=$DATABASE" --yes
invite jove    "$JOVE"    imdircacheserv,mta,popserv,imapserv
invite juno    "$JUNO"    imdircacheserv,mta,popserv,imapserv
invite mars    "$MARS"    mss
invite minerva "$MINERVA" mss
invite vulcan  "$VULCAN"  imqueueserv
# The package makes this user; servers that run as it must own the site.
if id imail >/dev/null 2>&1; then chown -R imail: "$INTERMAIL"; fi
# Each invitation has the configuration as it was when it was written; a host that starts asks venus for what holds now.
