# hypeman_test(NAME source... [LIBS lib...]): a cmocka program, run by ctest with label "unit".
if(BUILD_TESTING)
	pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

function(hypeman_test name)
	if(NOT BUILD_TESTING)
		return()
	endif()
	cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
	add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
	target_link_libraries(${name} PRIVATE ${arg_LIBS} PkgConfig::CMOCKA hypeman_flags)
	add_test(NAME ${name} COMMAND ${name})
	set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
	if(HYPEMAN_SANITIZE MATCHES thread)
		# Debian's libgrpc and its Abseil are not instrumented: only our code is watched.
		set_tests_properties(${name} PROPERTIES
			ENVIRONMENT TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1)
	endif()
endfunction()
