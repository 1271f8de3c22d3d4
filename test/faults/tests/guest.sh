#!/bin/bash
# guest.sh NAME: suites that do harm to their guest, or that wait while the host does.
if [ ! -e /dev/virtio-ports/vexlab.control ]; then
	echo 'guest.sh: this is no guest of vexlab, and would be harmed' >&2
	exit 2
fi
echo 'KTAP version 1'
echo '1..1'
echo "# RUN $1"

case $1 in
wait)
	# Long enough for the host to do what it wants, and not longer.
	sleep 10
	;;
wait-and-panic)
	sleep 6
	echo c >/proc/sysrq-trigger
	sleep 100000
	;;
wait-for-ever)
	sleep 100000
	;;
kill-sshd)
	systemctl stop ssh.socket ssh.service 2>/dev/null
	pkill -KILL -x 'sshd(-session)?'
	sleep 1
	;;
cut-ssh)
	# The very session that this suite runs in; since OpenSSH 9.8 it has a program of its own.
	pkill -KILL -x 'sshd(-session)?'
	sleep 100000
	;;
kill-agent)
	systemctl kill --signal=KILL vexlab-agent
	sleep 100000
	;;
fill-disk)
	# Nearly all at once; the rest as a program would.
	free=$(df --output=avail --block-size=1M / | tail -n 1)
	fallocate -l "$((free - 64))M" /var/tmp/fill
	if dd if=/dev/zero of=/var/tmp/rest bs=1M 2>/dev/null; then
		echo 'not ok 1 the disk is not full'
		exit 1
	fi
	;;
write-much)
	# What no disk image can leave out.
	dd if=/dev/urandom of=/var/tmp/much bs=1M count=64 conv=fsync 2>/dev/null
	;;
fork-bomb)
	# shellcheck disable=SC2264 # Without end on purpose.
	bomb() { bomb | bomb & }
	bomb
	sleep 100000
	;;
power-off)
	poweroff -f
	sleep 100000
	;;
restart)
	reboot -f
	sleep 100000
	;;
set-taint)
	# As a kernel sets it that has issued a warning: Documentation/admin-guide/tainted-kernels.rst.
	before=$(cat /proc/sys/kernel/tainted)
	echo 512 >/proc/sys/kernel/tainted
	echo "# flags $before, then $(cat /proc/sys/kernel/tainted)"
	[ $((before & 512)) = 0 ] || echo 'Bail out! the flag was set before'
	;;
*)
	echo "guest.sh: there is no $1" >&2
	exit 2
	;;
esac
echo "ok 1 $1"
