/* SPDX-License-Identifier: Apache-2.0 */
/* One PCI function: /sys/devices/pciDDDD:BB/DDDD:BB:DD.F. */

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "tree_kind.h"

static const struct function *function_of(const struct host *host, struct node node)
{
	return &host->functions[node.object];
}

static const struct board *board_of(const struct host *host, struct node node)
{
	return function_of(host, node)->gpu->board;
}

static bool is_audio(const struct function *function)
{
	return function->kind == FUNCTION_AUDIO;
}

/* ---- identity ------------------------------------------------------------------ */

static uint64_t vendor_of(const struct function *function)
{
	return is_audio(function) ? function->gpu->board->audio_vendor
				  : function->gpu->board->vendor;
}

static uint64_t device_of(const struct function *function)
{
	return is_audio(function) ? function->gpu->board->audio_device
				  : function->gpu->board->device;
}

static uint64_t class_of(const struct function *function)
{
	return is_audio(function) ? 0x040300 : function->gpu->board->class_code;
}

static int vendor_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "0x%04llx\n", (unsigned long long)vendor_of(function_of(host, node)));
	return 0;
}

static int device_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "0x%04llx\n", (unsigned long long)device_of(function_of(host, node)));
	return 0;
}

static int subsystem_vendor_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "0x%04llx\n", (unsigned long long)board_of(host, node)->subsystem_vendor);
	return 0;
}

static int subsystem_device_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "0x%04llx\n", (unsigned long long)board_of(host, node)->subsystem_device);
	return 0;
}

static int class_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "0x%06llx\n", (unsigned long long)class_of(function_of(host, node)));
	return 0;
}

static int revision_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "0x%02llx\n", (unsigned long long)board_of(host, node)->revision);
	return 0;
}

static int modalias_show(struct host *host, struct node node, FILE *out)
{
	const struct function *function = function_of(host, node);
	unsigned long long class_code = class_of(function);

	fprintf(out, "pci:v%08llXd%08llXsv%08llXsd%08llXbc%02llXsc%02llXi%02llX\n",
		(unsigned long long)vendor_of(function), (unsigned long long)device_of(function),
		(unsigned long long)board_of(host, node)->subsystem_vendor,
		(unsigned long long)board_of(host, node)->subsystem_device, class_code >> 16,
		class_code >> 8 & 0xff, class_code & 0xff);
	return 0;
}

static int uevent_show(struct host *host, struct node node, FILE *out)
{
	const struct function *function = function_of(host, node);
	const struct board *board = board_of(host, node);

	if (function->driver && !function->is_unbinding)
		fprintf(out, "DRIVER=%s\n", function->driver);
	fprintf(out, "PCI_CLASS=%llX\nPCI_ID=%04llX:%04llX\nPCI_SUBSYS_ID=%04llX:%04llX\n",
		(unsigned long long)class_of(function), (unsigned long long)vendor_of(function),
		(unsigned long long)device_of(function),
		(unsigned long long)board->subsystem_vendor,
		(unsigned long long)board->subsystem_device);
	fprintf(out, "PCI_SLOT_NAME=%s\nMODALIAS=", BDF_STR(function->address));
	return modalias_show(host, node, out);
}

static int numa_node_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%d\n", function_of(host, node)->numa_node);
	return 0;
}

static bool has_boot_vga(const struct host *host, struct node node)
{
	return class_of(function_of(host, node)) >> 8 == 0x0300;
}

static int boot_vga_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%llu\n", (unsigned long long)board_of(host, node)->boot_vga);
	return 0;
}

/* ---- drivers ------------------------------------------------------------------- */

static bool has_driver(const struct host *host, struct node node)
{
	const struct function *function = function_of(host, node);

	return function->driver && !function->is_unbinding;
}

static int driver_link(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "../../../bus/pci/drivers/%s", function_of(host, node)->driver);
	return 0;
}

static int override_show(struct host *host, struct node node, FILE *out)
{
	const struct function *function = function_of(host, node);
	const char *override = function->override;

	if (function->is_unbinding)
		return HOST_PENDING; /* the device's lock is held */
	fprintf(out, "%s\n", override[0] ? override : "(null)");
	return 0;
}

static int override_store(struct host *host, struct node node, const struct tree_write *write)
{
	return driver_set_override(&host->functions[node.object], write->text, write->length);
}

/* ---- SR-IOV, reset, group ------------------------------------------------------ */

static bool is_virtual(const struct host *host, struct node node)
{
	return function_of(host, node)->kind == FUNCTION_VIRTUAL;
}

static bool has_sriov(const struct host *host, struct node node)
{
	return function_of(host, node)->kind == FUNCTION_PHYSICAL && board_of(host, node)->vfs > 0;
}

static int physfn_link(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "../%s", BDF_STR(function_of(host, node)->gpu->physical->address));
	return 0;
}

static int totalvfs_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%llu\n", (unsigned long long)board_of(host, node)->vfs);
	return 0;
}

static int numvfs_show(struct host *host, struct node node, FILE *out)
{
	unsigned int count = 0;

	for (size_t i = 0; i < host->function_count; i++)
		if (host->functions[i].kind == FUNCTION_VIRTUAL &&
		    function_is_over(function_of(host, node), &host->functions[i]) &&
		    !host->functions[i].is_absent)
			count++;
	fprintf(out, "%u\n", count);
	return 0;
}

/* "driver does not support SR-IOV configuration via sysfs" */
static int numvfs_store(struct host *host, struct node node, const struct tree_write *write)
{
	(void)host;
	(void)node;
	(void)write;
	return -ENOENT;
}

static const char *reset_methods_of(const struct host *host, struct node node)
{
	const struct board *board = board_of(host, node);

	return is_virtual(host, node) ? board->vf_reset_method : board->reset_method;
}

static bool has_reset(const struct host *host, struct node node)
{
	return !is_audio(function_of(host, node)) && reset_methods_of(host, node)[0] != '\0';
}

static int reset_method_show(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "%s\n", function_of(host, node)->reset_method);
	return 0;
}

static bool word_is_in(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; (at = strstr(at, word)) != NULL; at += length)
		if ((at == words || at[-1] == ' ') && strchr(" ", at[length]))
			return true;
	return false;
}

/* "default", nothing, or some of what the hardware has, in the order wanted. */
static int reset_method_store(struct host *host, struct node node, const struct tree_write *write)
{
	struct function *function = &host->functions[node.object];
	char wanted[BOARD_WORD_SIZE] = "", copy[BOARD_WORD_SIZE], *rest = copy, *word;

	if (strcmp(write->text, "\n") != 0 && tree_word_parse(write, sizeof(wanted), wanted) < 0)
		return -EINVAL;
	if (strcmp(wanted, "default") == 0)
		strcpy(wanted, reset_methods_of(host, node));
	strcpy(copy, wanted);
	while ((word = strsep(&rest, " ")) != NULL)
		if (word[0] != '\0' && !word_is_in(reset_methods_of(host, node), word))
			return -EINVAL;
	strcpy(function->reset_method, wanted);
	return 0;
}

static int reset_store(struct host *host, struct node node, const struct tree_write *write)
{
	struct function *function = &host->functions[node.object];
	unsigned long number;
	int r = tree_number_parse(write, &number);

	if (r < 0)
		return r;
	if (number != 1)
		return -EINVAL;
	if (function->reset_method[0] == '\0')
		return -ENOTTY;
	function->reset_count++;
	return 0;
}

/* vfio-pci lets a function sleep that nobody uses. */
static int power_state_show(struct host *host, struct node node, FILE *out)
{
	const struct function *function = function_of(host, node);
	bool sleeps = driver_is_vfio(function) && !function_is_vendor_vf(function) &&
		      !function->group->is_held;

	fputs(sleeps ? "D3hot\n" : "D0\n", out);
	return 0;
}

static int group_link(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "../../../kernel/iommu_groups/%u", function_of(host, node)->group->number);
	return 0;
}

static int subsystem_link(struct host *host, struct node node, FILE *out)
{
	(void)host;
	(void)node;
	fputs("../../../bus/pci", out);
	return 0;
}

static bool has_types(const struct host *host, struct node node)
{
	return function_is_mdev_parent(function_of(host, node));
}

static bool has_vfio_dev(const struct host *host, struct node node)
{
	return driver_is_vfio(function_of(host, node));
}

static const struct tree_entry function_entries[] = {
	{ "boot_vga", TREE_RO, .exists = has_boot_vga, .show = boot_vga_show },
	{ "class", TREE_RO, .show = class_show },
	{ "device", TREE_RO, .show = device_show },
	{ "driver", TREE_LINK, .exists = has_driver, .show = driver_link },
	{ "driver_override", TREE_RW, .show = override_show, .store = override_store,
	  .op = OP_OVERRIDE },
	{ "iommu_group", TREE_LINK, .show = group_link },
	{ "mdev_supported_types", TREE_DIR, .child = KIND_TYPES, .exists = has_types },
	{ "modalias", TREE_RO, .show = modalias_show },
	{ "numa_node", TREE_RO, .show = numa_node_show },
	{ "physfn", TREE_LINK, .exists = is_virtual, .show = physfn_link },
	{ "power_state", TREE_RO, .show = power_state_show },
	{ "reset", TREE_WO, .exists = has_reset, .store = reset_store, .op = OP_RESET },
	{ "reset_method", TREE_RW, .exists = has_reset, .show = reset_method_show,
	  .store = reset_method_store },
	{ "revision", TREE_RO, .show = revision_show },
	{ "sriov_numvfs", TREE_RW, .exists = has_sriov, .show = numvfs_show,
	  .store = numvfs_store },
	{ "sriov_totalvfs", TREE_RO, .exists = has_sriov, .show = totalvfs_show },
	{ "subsystem", TREE_LINK, .show = subsystem_link },
	{ "subsystem_device", TREE_RO, .show = subsystem_device_show },
	{ "subsystem_vendor", TREE_RO, .show = subsystem_vendor_show },
	{ "uevent", TREE_RO, .show = uevent_show },
	{ "vendor", TREE_RO, .show = vendor_show },
	{ "vfio-dev", TREE_DIR, .child = KIND_FUNCTION_VFIO, .exists = has_vfio_dev },
};

/* ---- virtfnN, vGPUs, and the rest of a function -------------------------------- */

static int vf_link(struct host *host, struct node node, FILE *out)
{
	fprintf(out, "../%s", BDF_STR(function_of(host, node)->address));
	return 0;
}

static void function_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	const struct function *function = function_of(host, node);
	char name[32];

	if (function_is_vendor_vf(function) && !function->is_unbinding)
		emit(arg, function->gpu->board->vendor_dir,
		     (struct node){ .kind = KIND_FUNCTION_VENDOR, .object = node.object });
	for (const struct mdev *mdev = host->mdevs; mdev; mdev = mdev->next)
		if (mdev->parent == function)
			emit(arg, mdev->uuid,
			     (struct node){ .kind = KIND_MDEV, .object = mdev->serial });
	for (uint32_t i = 0; i < host->function_count; i++) {
		const struct function *vf = &host->functions[i];

		if (vf->kind != FUNCTION_VIRTUAL || vf->gpu->physical != function || vf->is_absent)
			continue;
		snprintf(name, sizeof(name), "virtfn%u", vf->vf_number);
		emit(arg, name, (struct node){ .kind = KIND_FUNCTION_VF_LINK, .object = i });
	}
}

static void function_vfio_list(struct host *host, struct node node, tree_emit_fn *emit, void *arg)
{
	char name[32];

	snprintf(name, sizeof(name), "vfio%u", function_of(host, node)->vfio_number);
	emit(arg, name, (struct node){ .kind = KIND_VFIO_DEVICE, .object = node.object });
}

const struct tree_kind tree_function_kinds[KIND_COUNT] = {
	[KIND_FUNCTION] = { TREE_DIR, .owner = tree_function_owner, .list = function_list,
			    TREE_ENTRIES(function_entries) },
	[KIND_FUNCTION_VF_LINK] = { TREE_LINK, .owner = tree_function_owner, .show = vf_link },
	[KIND_FUNCTION_VFIO] = { TREE_DIR, .owner = tree_function_owner, .exists = has_vfio_dev,
				 .list = function_vfio_list },
};
