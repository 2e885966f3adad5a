#include "common/text/no_such.h"

#include "absl/strings/str_cat.h"

namespace joulefarm {

std::string NoSuch(absl::string_view what, absl::string_view id) {
  return absl::StrCat("there is no ", what, " \"", id, "\": `joulefarm ", what,
                      " list` shows what there is");
}

}  // namespace joulefarm
