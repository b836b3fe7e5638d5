# The CPU backend from inside, without a registry: its sources once more, with an entry of their own.
set(cpu_dir ${CMAKE_SOURCE_DIR}/plugins/backends/cpu)
set(cpu_machine ${CMAKE_CURRENT_SOURCE_DIR}/unit/cpu_machine.c ${CMAKE_CURRENT_SOURCE_DIR}/unit/composite_test.c
  ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c ${CMAKE_SOURCE_DIR}/plugins/quantizers/gguf.c)
foreach(noun plugin buffer state claims fuse packing plan profile run products attend stream generic generic_ops generic_state)
  list(APPEND cpu_machine ${cpu_dir}/${noun}.c)
endforeach()
set_source_files_properties(${cpu_dir}/plugin.c PROPERTIES COMPILE_DEFINITIONS TENON_STATIC_PLUGIN=cpu_entry)
tenon_unit_test(cpu_tier0 ${cpu_machine} LIBS cpu_kernels_for_tests tenon_reference Threads::Threads m)
tenon_unit_test(cpu_lowered ${cpu_machine} LIBS cpu_kernels_for_tests tenon_reference Threads::Threads m)

# The table in the backend's README is what its code says.
if(TENON_TESTS)
  set(cpu_sources ${cpu_machine})
  list(FILTER cpu_sources INCLUDE REGEX "backends/cpu/")
  add_executable(cpu_table ${CMAKE_SOURCE_DIR}/tools/cpu_table.c ${cpu_sources})
  target_include_directories(cpu_table PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(cpu_table PRIVATE cpu_kernels_for_tests tenon_reference tenon_sdk Threads::Threads m)
  add_test(NAME cpu.table COMMAND cpu_table ${cpu_dir}/README.md)
endif()

# The same with the real command on a real model.
if(TENON_TESTS)
  find_program(TENON_PYTHON3 python3 REQUIRED)
  add_test(NAME e2e.tier0 COMMAND ${TENON_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/e2e/tier0.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.tier0 PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
endif()
