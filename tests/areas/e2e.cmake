# The real command on a real model.
if(TENON_TESTS)
  find_program(TENON_PYTHON3 python3 REQUIRED)
  add_test(NAME e2e.model COMMAND ${TENON_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/e2e/model.py $<TARGET_FILE:tenon> ${CMAKE_BINARY_DIR})
  set_tests_properties(e2e.model PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1500)
  if(TENON_SANITIZE)
    set_tests_properties(e2e.model PROPERTIES ENVIRONMENT TENON_SANITIZED=1)
  endif()
  if(NOT TENON_SANITIZE) # minutes with sanitizers, which see the same code with SmolLM2
    foreach(name gemma3 qwen2.5)
      string(REPLACE ".5" "" short ${name})
      add_test(NAME oracle.kl_${short} COMMAND ${TENON_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/e2e/truth.py $<TARGET_FILE:tenon> ${name})
      set_tests_properties(oracle.kl_${short} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
    endforeach()
  endif()
  add_test(NAME oracle.kl COMMAND ${TENON_PYTHON3} -m unittest test_kl
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests/oracle)
endif()
