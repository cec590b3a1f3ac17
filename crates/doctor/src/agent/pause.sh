# Pauses the PgBouncer of this container for at most $1 seconds, the $2 that PAUSE may take included. The pause begins at the
# time $3 (microseconds since 1970), so that all poolers stop at one moment, however long each took to get here. Where $3
# is `-`, it pauses nothing: from the next line of input on it guards a pause that somebody else makes at that moment, until a
# line says `resume`, or `off` if there was none. The first line of output is the outcome, or `ready` where $3 is `-`. Nobody has
# to come back to end the pause: this runs in the pooler's own container, and a PgBouncer that starts anew is not paused.
#
# Whoever resumes earlier ends this as well, so that it never undoes a later pause of somebody else.
trap '' HUP INT PIPE
export PGHOST=/tmp PGPORT=6432 PGUSER=pgbouncer PGDATABASE=pgbouncer PGCONNECT_TIMEOUT=2
exec 2>&1 9>/tmp/pause.lock

timer=
coproc console { exec stdbuf -oL psql -XAtqw 2>&1 9>&-; }
pooler=$console_PID
exec 3<&"${console[0]}" 4>&"${console[1]}"
ask() { printf '%s;\n\\echo .\n' "$1" >&4; }
answer() {
    local line
    text=
    while IFS= read -r -t "$1" line <&3; do
        [ "$line" = . ] && return 0
        text+="$line "
    done
    return 1
}
# until it is so: whoever is paused has nobody else
resume() {
    local said
    ask RESUME && answer 2 && [ -z "$text" ] && return
    until said=$(psql -XAtqw -c RESUME 2>&1) || [[ $said == *'not paused'* ]]; do sleep 0.5; done
}
# waits for what it started: nobody else here reaps it
finish() { kill $timer "$pooler" 2>/dev/null; wait; exit 0; }
begin() {
    flock -n 9 || { echo "a pause of somebody else is in effect"; finish; }
    # not by the clock, which may be set meanwhile
    sleep "$1" 9>&- & timer=$!
}
# a rest without a process of its own, as nothing comes unasked from the console; unless that is gone
rest() { read -r -t 0.1 _ <&3 || [ $? -gt 128 ] || sleep 0.1; }
pause() {
    local left=$(( $2 - ${EPOCHREALTIME/[.,]/} ))
    if [ "$left" -gt 0 ] && [ "$left" -lt 1000000 ]; then
        read -r -t "$(printf '0.%06d' "$left")" _ <&3
    fi
    # nobody waits for the answer any more
    [ "$left" -gt -1000000 ] || { echo 'too late'; finish; }
    ask PAUSE
    if ! answer "$1"; then
        # PAUSE still waits for a transaction
        local said=$text
        resume
        echo "${said:-busy}"
        finish
    elif [ -n "$text" ]; then
        echo "$text"
        finish
    fi
    echo paused
}
guard() {
    echo guards
    # by then the pause has begun, or there is none
    for _ in 1 2 3 4 5; do word; done
    rest() { word; }
}
# a rest in which whoever made the pause may say what comes of it
word() {
    local line=
    read -r -t 0.1 line || [ $? -gt 128 ] || sleep 0.1
    case $line in
        resume) resume; finish ;;
        off) finish ;;
    esac
}

ask 'SHOW VERSION'
answer 2 || { echo "${text:-the console does not open}"; finish; }
if [ "$3" = - ]; then
    echo ready
    # whoever would have said so is gone
    read -r _ || finish
    begin "$1"
    guard
else
    begin "$1"
    pause "$2" "$3"
fi
while kill -0 "$timer" 2>/dev/null; do
    if ask 'SHOW STATE' && answer 2 && [[ $text != *'paused|yes'* ]]; then
        finish
    fi
    rest
done
resume
finish
