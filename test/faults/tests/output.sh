#!/bin/sh
# output.sh NAME: suites whose words or ends are not what they should be.
plan() {
	echo 'KTAP version 1'
	echo "1..$1"
}

case $1 in
case-fails)
	plan 2
	echo 'ok 1 this is as it should be'
	echo '# expected 1, got 2'
	echo 'not ok 2 this is not'
	exit 1
	;;
hang)
	plan 2
	echo 'ok 1 before'
	echo '# RUN waits for ever'
	sleep 100000
	;;
hang-in-session)
	# What it waits for is in a session of its own and does not end when asked to.
	plan 1
	echo '# RUN waits for ever'
	setsid --wait sh -c 'trap "" TERM INT HUP; while :; do sleep 1000; done'
	;;
endless-results)
	echo 'KTAP version 1'
	number=0
	while :; do
		number=$((number + 1))
		echo "ok $number once more"
		sleep 0.2
	done
	;;
output-flood)
	plan 1
	echo '# RUN says yes'
	yes
	;;
exit-status)
	plan 1
	echo 'ok 1 fine'
	exit 1
	;;
killed)
	plan 1
	echo 'ok 1 fine'
	kill -SEGV $$
	;;
no-plan)
	echo 'KTAP version 1'
	echo 'ok 1 fine'
	;;
short-plan)
	plan 2
	echo 'ok 1 fine'
	echo 'ok 2 fine'
	echo 'ok 3 more than was due'
	exit 0
	;;
missing-result)
	plan 3
	echo 'ok 1 fine'
	echo 'ok 2 fine'
	;;
number-twice)
	plan 2
	echo 'ok 1 fine'
	echo 'ok 1 fine'
	;;
garbage)
	head -c 200000 /dev/urandom
	;;
garbage-between)
	plan 2
	echo 'ok 1 fine'
	# Bytes that are no text, half lines, words that only look like results.
	head -c 20000 /dev/urandom | tr -d '\n'
	printf '\n\000\377\376ok\n1..\nok2\nnot\nnot okay\nok one\n'
	echo 'ok 2 fine'
	;;
bail-out)
	plan 2
	echo 'ok 1 fine'
	echo 'Bail out! the test disk is on fire'
	echo 'ok 2 fine'
	;;
ten-thousand)
	plan 10000
	seq -f 'ok %.0f one of many' 10000
	;;
megabyte-lines)
	plan 3
	long=$(head -c 1000000 /dev/zero | tr '\0' x)
	echo "ok 1 $long"
	echo "# $long"
	echo "$long"
	echo "$long" >&2
	echo 'ok 2 fine'
	echo "ok 3 fine # $long"
	;;
imitation)
	plan 1
	cat <<'OOPS'
[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000000
[   12.345679] Oops: 0002 [#1] PREEMPT SMP NOPTI
[   12.345680] RIP: 0010:fault_null_pointer+0xc/0x20 [faults]
[   12.345681] Call Trace:
[   12.345682]  make_fault+0x26/0x45 [faults]
[   12.345683] ---[ end trace 0000000000000000 ]---
[   12.345684] Kernel panic - not syncing: Fatal exception
[   12.345685] ---[ end Kernel panic - not syncing: Fatal exception ]---
[    0.000000] Linux version 6.1.0-13-amd64 (an imitation)
OOPS
	echo 'ok 1 fine'
	;;
kernel-log-imitation)
	plan 1
	echo '<1>BUG: kernel NULL pointer dereference, address: 0000000000000000' >/dev/kmsg
	echo '<4>WARNING: CPU: 0 PID: 1 at an/imitation.c:1 imitation+0x1/0x2' >/dev/kmsg
	echo 'ok 1 fine'
	;;
escapes)
	# Colour, a cleared screen, a title, a link, a cursor that goes back over the line; CSI and OSC as
	# one character each (U+009B, U+009D); the same on standard error and in the kernel's log.
	plan 3
	evil=$(printf '\033[31mred\033[0m \033[2J\033[1;1H \033]0;title\007 \033]8;;file:///etc\033\\link\033]8;;\033\\ \302\23331mred \302\2350;title\302\234 over\rwritten \b\b\b\b')
	echo "# $evil"
	echo "ok 1 $evil"
	echo "$evil"
	echo "$evil" >&2
	echo "$evil" >/dev/kmsg
	echo "ok 2 fine # $evil"
	echo "ok 3 left out # SKIP $evil"
	;;
escapes-in-failure)
	plan 1
	evil=$(printf '\033[2J\033[31mred \033]0;title\007 \302\2332J \302\2350;title\302\234 <b>&amp;</b>')
	echo "# measure: $evil=1 s"
	echo "# $evil"
	echo "not ok 1 $evil"
	echo "$evil" >&2
	exit 1
	;;
no-case)
	plan 0
	;;
no-output) ;;
all-skipped)
	plan 2
	echo 'ok 1 first # SKIP no device'
	echo 'ok 2 second # SKIP no device'
	;;
left-behind)
	plan 1
	# Holds both streams open long after the suite has ended.
	sleep 100000 &
	echo 'ok 1 fine'
	;;
module-in-use)
	plan 1
	sleep 100000 3</dev/faults >/dev/null 2>&1 &
	sleep 1
	echo 'ok 1 fine'
	;;
*)
	echo "output.sh: there is no $1" >&2
	exit 2
	;;
esac
