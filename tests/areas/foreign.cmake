# Plugins from outside of the tree, built against what `cmake --install` puts down.
if(TENON_TESTS AND NOT TENON_STATIC_PLUGINS)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  foreach(kind encoding architecture)
    add_test(NAME e2e.foreign_${kind} COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/foreign_${kind}.py
      ${CMAKE_BINARY_DIR} ${CMAKE_COMMAND} ${CMAKE_C_COMPILER} ${TENON_SANITIZE})
    set_tests_properties(e2e.foreign_${kind} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
  endforeach()
endif()
