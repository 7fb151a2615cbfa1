# Runs a server and ends it when whoever started this is gone, however it went: that closes our standard input.
# $1: the signal for that case. $2: the folder to remove then, or nothing. The rest: the server.
at_last=$1
folder=$2
shift 2

"$@" </dev/null &
server=$!
# Only the server holds this pipe now: its end tells that all of the server's processes are gone.
exec >&-

children() {
    cat "/proc/$server/task/$server/children" 2>/dev/null && return
    ps -A -o pid= -o ppid= | while read -r process parent; do
        [ "$parent" = "$server" ] && echo "$process"
    done
}

while read -r order; do
    case $order in
    leave)
        # Until we have waited for it, the system counts a dead server as there, and so does PostgreSQL's next start.
        wait "$server"
        exit
        ;;
    crash)
        # Stopped first, so that it makes no new ones.
        kill -s STOP "$server"
        for process in $(children); do
            kill -s KILL "$process"
        done
        kill -s KILL "$server"
        ;;
    *) kill -s "$order" "$server" ;;
    esac
done 2>/dev/null

kill -s CONT "$server" 2>/dev/null
kill -s "$at_last" "$server" 2>/dev/null
wait "$server"
[ -z "$folder" ] || rm -rf -- "$folder"
