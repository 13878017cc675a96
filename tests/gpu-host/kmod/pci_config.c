// SPDX-License-Identifier: GPL-2.0-only
/* Configuration space of the functions, and access to it. */
#include "pci.h"

#include "board.h"

#define CAP_PM	  0x60
#define CAP_EXP	  0x78
#define EXT_ARI	  0x100
#define EXT_SRIOV 0x160

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)

static void put(u8 *space, unsigned int offset, unsigned int bytes, u32 value)
{
	for (; bytes; bytes--, value >>= 8)
		space[offset++] = value;
}

static u32 get(const u8 *space, unsigned int offset, unsigned int bytes)
{
	u32 value = 0;

	while (bytes--)
		value = value << 8 | space[offset + bytes];
	return value;
}

/* 64 bits, prefetchable: the low bits that do not change give its size. */
static void add_bar(struct config *config, unsigned int offset, u64 size)
{
	u64 mask = ~(size - 1);

	put(config->value, offset, 4, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	put(config->writable, offset, 4, lower_32_bits(mask));
	put(config->writable, offset + 4, 4, upper_32_bits(mask));
}

static void add_power_management(struct config *config)
{
	put(config->value, CAP_PM, 2, PCI_CAP_ID_PM | CAP_EXP << 8);
	put(config->value, CAP_PM + PCI_PM_PMC, 2, 3);
	put(config->writable, CAP_PM + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);
}

/* An endpoint with function level reset. */
static void add_express(struct config *config)
{
	const u16 link = PCI_EXP_LNKCAP_SLS_16_0GB | 16 << 4;

	put(config->value, CAP_EXP, 4, PCI_CAP_ID_EXP | 2 << 16);
	put(config->value, CAP_EXP + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_FLR | PCI_EXP_DEVCAP_RBER);
	put(config->value, CAP_EXP + PCI_EXP_LNKCAP, 4, link);
	put(config->value, CAP_EXP + PCI_EXP_LNKSTA, 2, link);
	put(config->writable, CAP_EXP + PCI_EXP_DEVCTL, 2, (u16)~PCI_EXP_DEVCTL_BCR_FLR);
}

static void fill_header(struct config *config, u32 ids, u32 class_revision)
{
	u8 *value = config->value, *writable = config->writable;

	put(value, PCI_VENDOR_ID, 4, ids);
	put(value, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	put(value, PCI_CLASS_REVISION, 4, class_revision);
	put(value, PCI_SUBSYSTEM_VENDOR_ID, 4,
	    BOARD_SUBSYSTEM_VENDOR | BOARD_SUBSYSTEM_DEVICE << 16);
	value[PCI_CAPABILITY_LIST] = CAP_PM;
	put(writable, PCI_COMMAND, 2,
	    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
		    PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	writable[PCI_INTERRUPT_LINE] = 0xff;
	writable[PCI_CACHE_LINE_SIZE] = 0xff;
	add_power_management(config);
	add_express(config);
}

static void add_sriov(struct config *config)
{
	u8 *value = config->value, *writable = config->writable;

	put(value, EXT_ARI, 4, PCI_EXT_CAP_ID_ARI | 1 << 16 | EXT_SRIOV << 20);
	put(value, EXT_SRIOV, 4, PCI_EXT_CAP_ID_SRIOV | 1 << 16);
	put(value, EXT_SRIOV + PCI_SRIOV_INITIAL_VF, 2, BOARD_VFS);
	put(value, EXT_SRIOV + PCI_SRIOV_TOTAL_VF, 2, BOARD_VFS);
	put(value, EXT_SRIOV + PCI_SRIOV_VF_OFFSET, 2, VF_OFFSET);
	put(value, EXT_SRIOV + PCI_SRIOV_VF_STRIDE, 2, 1);
	put(value, EXT_SRIOV + PCI_SRIOV_VF_DID, 2, BOARD_DEVICE);
	put(value, EXT_SRIOV + PCI_SRIOV_SUP_PGSIZE, 4, 0x553); /* 4 KiB to 4 MiB */
	put(value, EXT_SRIOV + PCI_SRIOV_SYS_PGSIZE, 4, 1);
	put(writable, EXT_SRIOV + PCI_SRIOV_SYS_PGSIZE, 4, 0x553);
	put(writable, EXT_SRIOV + PCI_SRIOV_NUM_VF, 2, 0xffff);
	put(writable, EXT_SRIOV + PCI_SRIOV_CTRL, 2,
	    PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_VFM | PCI_SRIOV_CTRL_INTR | PCI_SRIOV_CTRL_MSE |
		    PCI_SRIOV_CTRL_ARI);
	add_bar(config, EXT_SRIOV + PCI_SRIOV_BAR, KIB(256));
	add_bar(config, EXT_SRIOV + PCI_SRIOV_BAR + 8, MIB(256));
	add_bar(config, EXT_SRIOV + PCI_SRIOV_BAR + 16, MIB(32));
}

void slot_fill_config(struct slot *slot)
{
	const u32 gpu = BOARD_CLASS << 8 | BOARD_REVISION;
	unsigned int i;

	fill_header(&slot->gpu, BOARD_VENDOR | BOARD_DEVICE << 16, gpu);
	add_bar(&slot->gpu, PCI_BASE_ADDRESS_0, MIB(16));
	add_bar(&slot->gpu, PCI_BASE_ADDRESS_2, MIB(1024));
	add_bar(&slot->gpu, PCI_BASE_ADDRESS_4, MIB(32));
	add_sriov(&slot->gpu);
	slot->gpu.value[PCI_HEADER_TYPE] = 0x80; /* several functions */

	fill_header(&slot->audio, BOARD_VENDOR | BOARD_AUDIO_DEVICE << 16,
		    PCI_CLASS_MULTIMEDIA_HD_AUDIO << 16 | BOARD_REVISION);
	add_bar(&slot->audio, PCI_BASE_ADDRESS_0, KIB(16));
	slot->audio.value[PCI_HEADER_TYPE] = 0x80;

	/* A virtual function answers all ones for its ids: they are its GPU's. */
	for (i = 0; i < BOARD_VFS; i++)
		fill_header(&slot->vfs[i], 0xffffffff, gpu);
}

static struct config *find_function(struct slot *slot, const struct pci_bus *bus,
				    unsigned int devfn)
{
	const u8 *gpu = slot->gpu.value;
	unsigned int enabled = 0;

	if (bus->number != slot->number)
		return NULL;
	if (devfn == 0)
		return &slot->gpu;
	if (devfn == 1)
		return &slot->audio;
	if (get(gpu, EXT_SRIOV + PCI_SRIOV_CTRL, 2) & PCI_SRIOV_CTRL_VFE)
		enabled = min_t(u32, get(gpu, EXT_SRIOV + PCI_SRIOV_NUM_VF, 2), BOARD_VFS);
	if (devfn < VF_OFFSET || devfn - VF_OFFSET >= enabled)
		return NULL;
	return &slot->vfs[devfn - VF_OFFSET];
}

static int config_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	const struct config *config = find_function(slot_of_bus(bus), bus, devfn);

	if (!config) {
		*value = ~0U;
		return PCIBIOS_DEVICE_NOT_FOUND;
	}
	*value = get(config->value, where, size);
	return PCIBIOS_SUCCESSFUL;
}

/* Whoever tests a release looks for this line. */
static void report_reset(const struct pci_bus *bus, unsigned int devfn, int where, u32 value)
{
	if (where == CAP_EXP + PCI_EXP_DEVCTL && (value & PCI_EXP_DEVCTL_BCR_FLR))
		pr_info("test_pci: %04x:%02x:%02x.%u is reset\n",
			pci_domain_nr((struct pci_bus *)bus), bus->number, PCI_SLOT(devfn),
			PCI_FUNC(devfn));
}

static int config_write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	struct config *config = find_function(slot_of_bus(bus), bus, devfn);
	u32 mask;

	if (!config)
		return PCIBIOS_DEVICE_NOT_FOUND;
	report_reset(bus, devfn, where, value);
	mask = get(config->writable, where, size);
	put(config->value, where, size, (get(config->value, where, size) & ~mask) | (value & mask));
	return PCIBIOS_SUCCESSFUL;
}

struct pci_ops slot_config_ops = {
	.read = config_read,
	.write = config_write,
};
