#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calls that have a safer form are not used: no bound, hidden state, or errors that cannot be seen.
# What the pure library may call at all is checked by symbols.sh. usage: banned.sh <project root>
set -eu
cd "$1"

banned='strcpy|strcat|sprintf|vsprintf|gets|strtok|gmtime|localtime|ctime|asctime|atoi|atol|atof|rand|srand|alloca'
sources=$(find lib services -name '*.[ch]')
test -n "$sources"
# shellcheck disable=SC2086 # names of our own, without blanks
if grep -nE "(^|[^A-Za-z0-9_])($banned)[[:space:]]*\(" $sources; then
    echo 'the calls above are banned'
    exit 1
fi
echo "$sources" | wc -l | sed 's/$/ files, no banned call/'
