# SPDX-License-Identifier: Apache-2.0
# What "cmake --install" adds to the programs: units, users, folders, configuration, and the
# scripts that set a host up. Folders follow the prefix; systemd reads those of /usr and
# /usr/local alike.
set(HYPEMAN_CONFIG_DIR ${CMAKE_INSTALL_FULL_SYSCONFDIR}/hypeman)

foreach(unit gpu-agent instance-svc api-gateway guests)
	configure_file(systemd/hypeman-${unit}.service.in hypeman-${unit}.service @ONLY)
	install(FILES ${CMAKE_CURRENT_BINARY_DIR}/hypeman-${unit}.service
		DESTINATION lib/systemd/system)
endforeach()
foreach(service gpu-agent instance-svc api-gateway)
	install(FILES config/${service}.conf DESTINATION ${HYPEMAN_CONFIG_DIR})
endforeach()
install(FILES systemd/gpu-agent-remote.conf DESTINATION ${CMAKE_INSTALL_DATADIR}/hypeman)
install(FILES nginx/hypeman.conf DESTINATION ${CMAKE_INSTALL_DATADIR}/hypeman/nginx)
install(DIRECTORY monitoring DESTINATION ${CMAKE_INSTALL_DATADIR}/hypeman)
install(FILES sysusers.d/hypeman.conf DESTINATION lib/sysusers.d)
install(FILES tmpfiles.d/hypeman.conf DESTINATION lib/tmpfiles.d)
install(FILES modules-load.d/hypeman.conf DESTINATION lib/modules-load.d)
install(PROGRAMS hypeman-setup DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(PROGRAMS extract-vmlinux fetch-guest-kernel DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/hypeman)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/ARCHITECTURE.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(TARGETS hypeman-simhost DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY simhost/boards DESTINATION ${CMAKE_INSTALL_DATADIR}/hypeman)
