# SPDX-License-Identifier: Apache-2.0
# Runs SIM twice over the same seeds, by one process and by two: everything that happened must be the same.
foreach(jobs 1 2)
  execute_process(COMMAND ${SIM} --seed 1 --seeds 40 --jobs ${jobs} OUTPUT_VARIABLE output
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR NOT output MATCHES "\"digest\":\"([0-9a-f]+)\"")
    message(FATAL_ERROR "the run failed:\n${output}")
  endif()
  list(APPEND digests ${CMAKE_MATCH_1})
endforeach()
list(GET digests 0 first)
list(GET digests 1 second)
message(STATUS "digests ${digests}")
if(NOT first STREQUAL second)
  message(FATAL_ERROR "the same seeds have two histories")
endif()
