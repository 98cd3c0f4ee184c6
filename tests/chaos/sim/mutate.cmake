# SPDX-License-Identifier: Apache-2.0
# Writes OUT: the file IN with the text in the file OLD replaced by that in the file NEW. OLD must occur
# exactly once: a bug that no longer fits its place is no test of anything, so the build stops.
file(READ ${IN} text)
file(READ ${OLD} old)
file(READ ${NEW} new)
string(FIND "${text}" "${old}" first)
string(FIND "${text}" "${old}" last REVERSE)
if(first EQUAL -1)
  message(FATAL_ERROR "${NAME}: ${IN} does not contain\n${old}\nMend the row in bugs.cmake.")
elseif(NOT first EQUAL last)
  message(FATAL_ERROR "${NAME}: ${IN} contains more than once\n${old}\nMend the row in bugs.cmake.")
endif()
string(REPLACE "${old}" "${new}" text "${text}")
file(WRITE ${OUT} "${text}")
