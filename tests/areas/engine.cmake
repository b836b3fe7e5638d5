# Engine, model and compute pool.
tenon_unit_test(threads)
tenon_unit_test(quota)
tenon_unit_test(memory)
tenon_unit_test(torn)
tenon_unit_test(sampler)
tenon_unit_test(stream)
tenon_unit_test(kvpages)
if(NOT TENON_STATIC_PLUGINS) # its plugins are made up and would meet the real ones
  set(engine_fixture ${CMAKE_CURRENT_SOURCE_DIR}/unit/fake_plugins.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/fake_backend.c
    ${CMAKE_CURRENT_SOURCE_DIR}/unit/engine_fixture.c)
  tenon_unit_test(engine ${engine_fixture})
  tenon_unit_test(engine_load ${engine_fixture})
endif()
# An embedding program: nothing of core, only the shared library.
if(TENON_TESTS)
  add_executable(test_libtenon ${CMAKE_CURRENT_SOURCE_DIR}/unit/test_libtenon.c)
  target_link_libraries(test_libtenon PRIVATE tenon_library tenon_sdk PkgConfig::CHECK)
  target_compile_definitions(test_libtenon PRIVATE TENON_BUILD_DIR="${CMAKE_BINARY_DIR}"
    $<$<BOOL:${TENON_STATIC_PLUGINS}>:TEST_STATIC>)
  add_test(NAME unit.libtenon COMMAND test_libtenon)
endif()
