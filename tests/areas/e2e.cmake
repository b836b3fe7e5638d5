# The real command on a real model.
if(TENON_TESTS)
  find_program(TENON_PYTHON3 python3 REQUIRED)
  add_test(NAME e2e.model COMMAND ${TENON_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/e2e/model.py $<TARGET_FILE:tenon> ${CMAKE_BINARY_DIR})
  set_tests_properties(e2e.model PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1500)
  if(TENON_SANITIZE)
    set_tests_properties(e2e.model PROPERTIES ENVIRONMENT TENON_SANITIZED=1)
  endif()
  add_test(NAME oracle.kl COMMAND ${TENON_PYTHON3} -m unittest test_kl
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests/oracle)
endif()
