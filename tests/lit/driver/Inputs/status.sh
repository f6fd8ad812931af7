#!/bin/sh
# status.sh N COMMAND...: succeeds when COMMAND exits with status N.
want=$1
shift
"$@"
got=$?
[ "$got" = "$want" ] && exit 0
echo "exit status $got instead of $want: $*" >&2
exit 1
