# Ends a pause of the PgBouncer of this container after $1 seconds at the latest. Nobody has to come back for that: this runs in the
# pooler's own container, and a PgBouncer that starts anew is not paused. Whoever resumes earlier ends this as well, so
# that it never undoes a later pause of somebody else.
#
# Where $3 is a time (microseconds since 1970), it makes the pause itself at that time, so that all poolers stop at one
# moment, however long each took to get here. PAUSE may take $2 seconds. The first line of output is the outcome.
#
# Where $3 is `-`, it says `ready`, and guards from the word `guard` on what pause there then is, of somebody who is quicker. The
# word `resume` ends the pause, which `over` confirms; `off` leaves it alone.
trap '' HUP INT PIPE
export PGHOST=/tmp PGPORT=6432 PGUSER=pgbouncer PGDATABASE=pgbouncer PGCONNECT_TIMEOUT=2
exec 2>&1 9>/tmp/pause.lock

timer= pooler= lost= asked=0
# not by the clock, which may be set meanwhile
lease() { sleep "$1" >/dev/null 2>&1 3>&- 4>&- 9>&- & timer=$!; }
open() {
    coproc console { exec stdbuf -oL psql -XAtqw 2>&1 9>&-; }
    pooler=$console_PID
    exec 3<&"${console[0]}" 4>&"${console[1]}"
    ask 'SHOW VERSION' 2 || { echo "${text:-the console does not open}"; finish; }
}
# What the console says to $1 within $2 seconds. An answer that was late is told from later ones by its number.
ask() {
    local line
    text=
    [ -z "$lost" ] || return 1
    printf '%s;\n\\echo .%d\n' "$1" $((++asked)) >&4
    while IFS= read -r -t "$2" line <&3; do
        case $line in
        ".$asked") return 0 ;;
        .*) text= ;;
        *) text+="$line " ;;
        esac
    done
    return 1
}
# until it is so: whoever is paused has nobody else
resume() {
    local said
    ask RESUME 2 && [ -z "$text" ] && return
    until said=$(psql -XAtqw -c RESUME 2>&1) || [[ $said == *'not paused'* || $said == *'shutting down'* ]]; do
        sleep 0.5
    done
}
# waits for what it started: nobody else here reaps it
finish() { { kill -KILL $timer $pooler; wait; } 2>/dev/null; exit 0; }

pause() {
    flock -n 9 || { echo "a pause of somebody else is in effect"; finish; }
    lease "$1"
    open
    local left=$(( $3 - ${EPOCHREALTIME/[.,]/} ))
    if [ "$left" -gt 0 ] && [ "$left" -lt 1000000 ]; then
        read -r -t "$(printf '0.%06d' "$left")" _ <&3
    fi
    # nobody waits for the answer any more
    [ "$left" -gt -1000000 ] || { echo 'too late'; finish; }
    if ! ask PAUSE "$2"; then
        # it still waits for a transaction, and so would what is asked next
        lost=yes
        local said=$text
        resume
        echo "${said:-busy}"
        finish
    elif [ -n "$text" ]; then
        echo "$text"
        finish
    fi
    echo paused
    while kill -0 "$timer" 2>/dev/null; do
        ! ask 'SHOW STATE' 2 || [[ $text == *'paused|yes'* ]] || finish
        # a rest without a process of its own, as nothing comes unasked; unless the console is gone
        read -r -t 0.1 _ <&3 || [ $? -gt 128 ] || sleep 0.1
    done
    resume
    finish
}

guard() {
    local word= now= before= seen= looks=0
    open
    echo ready
    until [ "$word" = guard ]; do
        # the last look may have seen the pause that is to be guarded
        before=$now
        ask 'SHOW STATE' 2 || finish
        now=$text
        # whoever would say the word is gone
        read -r -t 0.5 word || [ $? -gt 128 ] || finish
    done
    [[ $before != *'paused|yes'* ]] || { echo "a pause of somebody else is in effect"; finish; }
    lease "$1"
    echo guards
    while kill -0 "$timer" 2>/dev/null; do
        if ask 'SHOW STATE' 2; then
            if [[ $text == *'paused|yes'* ]]; then
                seen=yes
            elif [ -n "$seen" ] || [ $((++looks)) -gt 20 ]; then
                # somebody else ended it, or there was none for two seconds
                finish
            fi
        fi
        read -r -t 0.1 word || [ $? -gt 128 ] || sleep 0.1
        case $word in
        resume) break ;;
        off) finish ;;
        esac
    done
    resume
    echo over
    finish
}

if [ "$3" = - ]; then guard "$1"; else pause "$1" "$2" "$3"; fi
