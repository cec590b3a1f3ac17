#!/bin/bash
# May node {{ me.id() }} hold the VIP? Made by gen-keepalived from .env: edit .env, not this file.
#
# keepalived runs this every {{ every }} s: exit 0 means yes. By hand, with the reason:
#   docker exec keepalived bash /config/check_haproxy.sh; echo $?
#
# Yes, if
#   1. HAProxy answers on this node, and
#   2. PgBouncer on this node speaks PostgreSQL (Docker accepts connections for it even when it is
#      dead, so being accepted proves nothing), and
#   3. HAProxy on this node sees a primary, or no other node's HAProxy sees one either: while
#      PostgreSQL fails over nobody sees a primary, and the VIP must not go. But a node that reaches none of the
#      others will see none until it is back, and clients that reach it wait in vain, and
#   4. no other node holds the VIP with another .env (nodes, VIP, passwords). Such two need not hear
#      each other's announcements, and whoever hears nobody would take the VIP as well.
# It takes less than 2 seconds, also where nothing answers at all.
#
# It also renews the VIP's lease. keepalived's address would stay for ever where keepalived is killed, beside
# that of the node which takes over. So the kernel is told to drop it after {{ lease }} s unless it hears from here.
# Not sooner: whatever hangs here, keepalived notices first (it ends a run after {{ timeout }} s) and gives the VIP up itself.
#
# And it sends keepalived back to the start where this machine stood still. keepalived runs it as
# `check_haproxy.sh owner`, too, when it has taken the VIP.

me={{ me.ip() }}
peers=({% for peer in peers %}{{ peer.ip() }}{% if !loop.last %} {% endif %}{% endfor %})

no() {
    echo "node {{ me.id() }} may not hold the VIP: $*" >&2
    exit 1
}

# A machine that stood still for longer than the lease (frozen, suspended, starved) goes on with timers that are all
# over: keepalived takes the VIP before it reads what the owner has announced meanwhile, and clients come to
# what may have ceased to be the primary. So the VIP goes at once, and keepalived ends: Docker starts it anew, and it
# listens first. True until then, so that whichever run comes next does the same. What an earlier keepalived noted,
# or an earlier version of this script, tells nothing.
stood_still() {
    local program was last _
    # by hand, outside its container, there is no keepalived to send back to the start
    read -r program </proc/1/comm
    [ "$program" = keepalived ] || return
    read -r was last _ 2>/dev/null <{{ crate::LAST_PATH }}
    [[ -n $started && $was == "$started" && $last =~ ^[0-9]+$ && ! $0 -nt {{ crate::LAST_PATH }} ]] &&
        ((began - last > {{ lease }})) && return
    echo "$started $began" >{{ crate::LAST_PATH }}
    return 1
}

# The VIP and its interface. While `deploy` waits for other nodes with new ones, keepalived still holds the former.
addresses() {
    echo "{{ vip }} {{ interface }}"
    cat {{ crate::LEASED_PATH }} 2>/dev/null
}

start_anew() {
    local address device
    while read -r address device; do
        ip -4 address flush dev "$device" to "$address"
    done < <(addresses)
    # where `docker logs keepalived` shows it
    echo "this machine stood still: the VIP goes, and keepalived starts anew" 2>/dev/null >/proc/1/fd/2
    kill 1
}

# Whole seconds since the machine's start.
uptime() {
    local now _
    read -r now _ </proc/uptime
    echo "${now%.*}"
}

# HAProxy at address $1 within $2 seconds. 200: sees a primary; 503: sees none; 000: does not answer.
# Neither a proxy nor a .curlrc may interfere.
ask_haproxy() {
    curl --disable --silent --noproxy '*' --max-time "$2" --output /dev/null \
        --write-out '%{http_code}\n' "http://$1:{{ port::HAPROXY_STATS }}/primary"
}

# Asks whether TLS is spoken (SSLRequest). N and S are the two answers, E is that of a full pooler.
ask_pooler() {
    # shellcheck disable=SC2016 # the inner bash expands these
    timeout {{ ask }} bash -c '
        exec 3<>"/dev/tcp/$0/$1" && printf "\0\0\0\10\4\322\26\57" >&3 &&
            IFS= read -r -N 1 answer <&3 && [[ $answer == [NSE] ]]
    ' "$me" {{ port::POOLER }} 2>/dev/null
}

# Says so where the machine at address $1 answers, and be it that nobody listens there: etcd's port, as Patroni needs it.
reach() {
    local said
    # shellcheck disable=SC2016 # the inner bash expands it
    said=$(LC_ALL=C timeout 0.7 bash -c 'exec 3<>"/dev/tcp/$0/{{ port::ETCD_CLIENT }}"' "$1" 2>&1) || [[ $said == *refused* ]] || return
    echo reached
}

# Only an address that is there: one that is not would be added. Where keepalived drops it at that very moment, it
# is added all the same, beside that of the VIP's next owner. The kernel takes `noprefixroute` for an address that it
# adds, and not for one that it changes, so by this word such a one is told from keepalived's, and goes at once.
renew_lease() {
    local address device
    # a run that stood still itself knows nothing any more
    (($(uptime) - began < 5)) || return
    while read -r address device; do
        [[ $(ip -4 -o address show dev "$device" to "$address" 2>/dev/null) =~ inet\ ("$address"/[0-9]+) ]] ||
            continue
        ip address change "${BASH_REMATCH[1]}" dev "$device" noprefixroute \
            valid_lft {{ lease }} preferred_lft {{ lease }} 2>/dev/null
        ip -4 address flush noprefixroute dev "$device" to "$address" 2>/dev/null
        echo "$address $device" >{{ crate::LEASED_PATH }}
        return
    done < <(addresses)
}

# A node that was added has to hear this one at once, or it would take the VIP as well. So where nothing
# but the peers differs from what keepalived has read, it reads its file again. Everything else waits for
# `deploy`, which changes it on all nodes together.
take_up_peers() {
    local file=/config/keepalived.conf seen={{ crate::SEEN_PATH }} rest peers
    [ -r "$file" ] || return
    rest=$(sed '/^    unicast_peer {/,/^    }/d' "$file" | cksum)
    peers=$(sed -n '/^    unicast_peer {/,/^    }/p' "$file" | cksum)
    local was
    was=$(cat "$seen" 2>/dev/null)
    case $was in
    "$started $rest $peers") return ;;
    "$started $rest "* | "") ;;
    "$started "*) return ;;
    esac
    # first, as keepalived ends its scripts when it reads its file
    echo "$started $rest $peers" >"$seen"
    [[ $was != "$started "* ]] || kill -HUP 1
}

began=$(uptime)
# keepalived's start, in ticks
started=$(cut -d ' ' -f 22 /proc/1/stat)
if stood_still; then
    start_anew
    no "this machine stood still"
fi
[ "${1:-}" != owner ] || exit 0

renew_lease
take_up_peers
ask_pooler &
pooler=$!
exec 4< <(curl --disable --silent --noproxy '*' --max-time {{ ask }} "http://{{ vip }}:{{ port::HAPROXY_STATS }}/healthz")
here=$(ask_haproxy "$me" {{ ask }})
wait "$pooler"
pooler=$?

case $here in
200 | 503) ;;
*) no "HAProxy does not answer on $me:{{ port::HAPROXY_STATS }}" ;;
esac
[ "$pooler" = 0 ] || no "PgBouncer does not answer on $me:{{ port::POOLER }}"
IFS= read -r holder <&4 || true
case $holder in
"patroni-stack node {{ me.id() }} "* | *" settings {{ agreement }}" | *" settings {{ agreement }} "*) ;;
"patroni-stack node "*) no "${holder%% settings*} holds the VIP with another .env" ;;
esac
[ "$here" = 503 ] || exit 0

renew_lease
# All at once, so that unreachable ones do not add up, and done before keepalived's next round.
exec 5< <(
    for peer in "${peers[@]}"; do
        ask_haproxy "$peer" 0.7 &
        reach "$peer" &
    done
    wait
)
# After a failover another node's HAProxy may see the new primary a moment earlier than this one.
sleep 0.3
[ "$(ask_haproxy "$me" 0.3)" != 200 ] || exit 0
others=$(cat <&5)
[[ $others != *200* ]] || no "HAProxy sees no primary here, but does on another node"
[[ $others == *reached* ]] || no "HAProxy sees no primary here, and no other node answers at all"
