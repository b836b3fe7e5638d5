# What scripts rely on of the command: JSON, exit codes, what goes where.
if(TENON_TESTS)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_test(NAME e2e.command COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/command.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.command PROPERTIES TIMEOUT 600)
  add_test(NAME e2e.chat COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/chat.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.chat PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
  add_test(NAME e2e.tools COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/e2e/tools.sh ${CMAKE_SOURCE_DIR}/tools)
endif()
