# The CPU backend from inside, without a registry: what the plugin is linked from, with an entry of its own name.
set(cpu_dir ${CMAKE_SOURCE_DIR}/plugins/backends/cpu)
add_library(cpu_machine STATIC EXCLUDE_FROM_ALL ${cpu_dir}/plugin.c)
target_compile_definitions(cpu_machine PRIVATE TENON_STATIC_PLUGIN=cpu_entry)
target_link_libraries(cpu_machine PUBLIC tenon_cpu)
set(machine_sources ${CMAKE_CURRENT_SOURCE_DIR}/unit/cpu_machine.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/composite_test.c
  ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c ${TENON_GGUF_ENCODINGS})
tenon_unit_test(cpu_tier0 ${machine_sources} LIBS cpu_machine)
tenon_unit_test(cpu_lowered ${machine_sources} LIBS cpu_machine)
tenon_unit_test(cpu_native ${machine_sources} LIBS cpu_machine)
tenon_unit_test(states ${CMAKE_CURRENT_SOURCE_DIR}/unit/fake_plugins.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/fake_backend.c
  ${TENON_GGUF_ENCODINGS} LIBS cpu_machine)
tenon_unit_test(cpu_packing ${machine_sources} ${CMAKE_SOURCE_DIR}/plugins/quantizers/checkpoints/affine.c LIBS cpu_machine)
tenon_unit_test(cpu_settings LIBS cpu_machine)

# The table in the backend's README is what its code says.
if(TENON_TESTS)
  add_executable(cpu_table ${CMAKE_SOURCE_DIR}/tools/cpu_table.c)
  target_include_directories(cpu_table PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(cpu_table PRIVATE tenon_cpu)
  add_test(NAME cpu.table COMMAND cpu_table ${cpu_dir}/README.md)
endif()

# The same with the real command on a real model.
if(TENON_TESTS)
  find_program(TENON_PYTHON3 python3 REQUIRED)
  add_test(NAME e2e.tier0 COMMAND ${TENON_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/e2e/tier0.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.tier0 PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
endif()
