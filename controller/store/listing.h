// The operator's listings as queries: which columns, in which order, filtered by what.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::controller {

// What is looked up before the listing itself: no row means NOT_FOUND with this message.
struct ExistenceCheck {
  std::string sql;
  std::string value;
  std::string message;
};

using BoundValue = std::variant<std::string, std::int64_t, double>;

struct ListingQuery {
  std::vector<ExistenceCheck> checks;
  std::string sql;
  std::vector<BoundValue> values;
  std::vector<v1::ColumnKind> kinds;
};

// The query that has every column of a listing, some of them hidden ("_name": filter "name" only).
// INVALID_ARGUMENT: no such listing.
absl::StatusOr<std::string> ListingSource(v1::Listing listing);

// The query for a request; `columns` are those of the source. INVALID_ARGUMENT as Reader::List.
absl::StatusOr<ListingQuery> BuildListing(const v1::ListRequest& request,
                                          const std::vector<std::string>& columns);

}  // namespace joulefarm::controller
