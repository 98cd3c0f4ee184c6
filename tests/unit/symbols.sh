#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The pure library may need nothing from outside but what symbols.allow lists: no I/O, clock, heap,
# thread, randomness or float conversion (G2). usage: symbols.sh <archive> <allow-list>
set -eu
archive=$1
allowed=$2

nm --undefined-only "$archive" >/dev/null # fail here when there is no archive
{ sed 's/#.*//' "$allowed"; echo ==; nm --defined-only "$archive"; echo ==; nm --undefined-only "$archive"; } |
awk '
    /^==$/ { part++; next }
    part == 0 { if (NF) { allow[$1 " " $2] = 1 } next }
    part == 1 { if (NF == 3) defined[$3] = 1; next }
    /:$/ { member = $1; sub(/:$/, "", member); members++; next }
    $1 == "U" || $1 == "w" {
        if ($2 in defined || ($2 " ") in allow || ($2 " " member) in allow) next
        printf "%s needs %s, which symbols.allow does not allow\n", member, $2
        bad++
    }
    END {
        if (!members) { print "the archive has no members"; exit 1 }
        printf "%d members, %d forbidden symbols\n", members, bad
        exit bad > 0
    }'
