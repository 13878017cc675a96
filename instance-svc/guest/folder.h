/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSTANCE_SVC_GUEST_FOLDER_H
#define INSTANCE_SVC_GUEST_FOLDER_H

/*
 * Makes a folder with its missing parents, owned by root, as Docker does. 0 or -errno; what
 * exists counts as made, whatever it is: the use of it will tell.
 */
int folder_make(const char *path);

#endif
