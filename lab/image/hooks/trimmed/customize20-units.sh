#!/bin/sh
# Which units start: those that a test guest needs.
# $1: the root file system
set -eu
root=$1

chroot "$root" systemctl enable systemd-networkd.service ssh.service

# Enabled by their packages, of which no release has all; systemctl does nothing for any when it does
# not know one. The first: nothing here has to wait for the network's carrier.
for unit in \
  systemd-networkd-wait-online.service \
  sysstat.service e2scrub_reap.service cloud-init-hotplugd.socket \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
  if [ -e "$root/usr/lib/systemd/system/$unit" ]; then
    chroot "$root" systemctl disable "$unit"
  fi
done

chroot "$root" systemctl mask \
  apparmor.service getty-static.service getty@tty1.service \
  man-db.timer systemd-pstore.service systemd-binfmt.service \
  proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount \
  systemd-firstboot.service systemd-machine-id-commit.service systemd-repart.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service \
  systemd-journal-flush.service systemd-sysusers.service systemd-network-generator.service \
  modprobe@drm.service \
  systemd-ask-password-console.path systemd-ask-password-wall.path \
  systemd-tmpfiles-clean.timer
# Later versions of cloud-init run all stages in this unit; ours does it in all of them.
chroot "$root" systemctl mask cloud-init-main.service
chroot "$root" systemctl set-default multi-user.target

# The generator decides at each boot, by a long shell script, whether cloud-init is wanted. Here it
# always is; its two ways to say no are conditions of cloud-init-local.service.
mkdir -p "$root/etc/systemd/system-generators" "$root/etc/systemd/system/multi-user.target.wants"
ln -sf /dev/null "$root/etc/systemd/system-generators/cloud-init-generator"
ln -sf /lib/systemd/system/cloud-init.target "$root/etc/systemd/system/multi-user.target.wants/"
# What these look for no test guest has; each is a program that systemd waits for at every boot, and
# again whenever it reads its units anew.
for name in bless-boot cryptsetup gpt-auto hibernate-resume integritysetup rc-local system-update \
  veritysetup; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$name-generator"
done
