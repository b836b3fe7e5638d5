# The ABI's layout, the SDK's headers, and what plugins export and need. 77: a compiler was missing.
tenon_unit_test(abi)

if(TENON_TESTS)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  set(headers ${CMAKE_SOURCE_DIR}/tests/headers)
  add_test(NAME abi.offsets COMMAND ${Python3_EXECUTABLE} ${headers}/abi_offsets.py)
  add_test(NAME abi.headers COMMAND bash ${headers}/compile_alone.sh ${CMAKE_SOURCE_DIR}/sdk/include ${CMAKE_C_COMPILER})
  set_tests_properties(abi.offsets abi.headers PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
  set_tests_properties(abi.offsets PROPERTIES ENVIRONMENT CC=${CMAKE_C_COMPILER})
  if(NOT TENON_STATIC_PLUGINS)
    add_test(NAME abi.symbols COMMAND bash ${headers}/plugin_symbols.sh ${TENON_PLUGIN_DIR})
  endif()
endif()
