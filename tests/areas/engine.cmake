# Engine, model and compute pool.
tenon_unit_test(threads)
tenon_unit_test(sampler)
tenon_unit_test(stream)
tenon_unit_test(kvpages)
tenon_unit_test(engine ${CMAKE_CURRENT_SOURCE_DIR}/unit/fake_plugins.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/fake_backend.c)
# An embedding program: nothing of core, only the shared library.
if(TENON_TESTS)
  add_executable(test_libtenon ${CMAKE_CURRENT_SOURCE_DIR}/unit/test_libtenon.c)
  target_link_libraries(test_libtenon PRIVATE tenon_library tenon_sdk PkgConfig::CHECK)
  target_compile_definitions(test_libtenon PRIVATE TENON_BUILD_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME unit.libtenon COMMAND test_libtenon)
endif()
