#!/bin/sh
# A stock system as a distribution's cloud image has it: nothing of vexlab's is in it.
# $1: the root file system
set -eu
root=$1

printf 'LABEL=cloud-root / ext4 rw,relatime 0 1\n' >"$root/etc/fstab"
printf 'cloud\n' >"$root/etc/hostname"
printf 'datasource_list: [ NoCloud, None ]\n' >"$root/etc/cloud/cloud.cfg.d/90_datasource.cfg"
rm -f "$root"/etc/ssh/ssh_host_*

# A guest's boot loader reads the initrd through the firmware: a small one is read sooner.
printf 'MODULES=list\n' >"$root/etc/initramfs-tools/conf.d/modules"
printf '%s\n' virtio_pci virtio_blk ext4 >>"$root/etc/initramfs-tools/modules"
for folder in "$root"/lib/modules/*; do
  chroot "$root" update-initramfs -c -k "${folder##*/}"
done

# For update-grub in the guest.
cat >"$root/etc/default/grub" <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX="console=ttyS0"
GRUB_TERMINAL=serial
END
cat >"$root/etc/kernel/postinst.d/zz-update-grub" <<'END'
#!/bin/sh
exec update-grub
END
chmod 755 "$root/etc/kernel/postinst.d/zz-update-grub"
