#!/bin/sh
# one_line.sh SOURCE.c OUTPUT [FLAGS]: builds an example with the very command its opening comment gives, but for the name of the output and any flags
# added.
set -e
line=$(grep -m 1 -E '^ *(\* *)?cc ' "$1" | sed -E 's/^ *(\* *)?//')
[ -n "$line" ] || { echo "$1: no line that begins with 'cc' in its opening comment" >&2; exit 1; }
case "$line" in *" -o $(basename "$1" .c)") ;; *) echo "$1: its build command must end in '-o $(basename "$1" .c)'" >&2; exit 1 ;; esac
eval "${line% -o *} $3 -o '$2'"
