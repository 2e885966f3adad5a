// Named deadlines, earliest first.
//
// Thread rule: none of its own; owned by the farm. Setting a key again moves it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace joulefarm::controller {

class Deadlines {
 public:
  void Set(const std::string& key, std::int64_t at_ns) {
    Clear(key);
    by_key_[key] = at_ns;
    by_time_.insert({at_ns, key});
  }

  void Clear(const std::string& key) {
    const auto it = by_key_.find(key);
    if (it == by_key_.end()) return;
    by_time_.erase({it->second, key});
    by_key_.erase(it);
  }

  std::optional<std::int64_t> Earliest() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
  }

  // Takes the earliest key that is due at `now_ns`; nullopt when none is.
  std::optional<std::string> PopDue(std::int64_t now_ns) {
    if (by_time_.empty() || by_time_.begin()->first > now_ns) return std::nullopt;
    std::string key = by_time_.begin()->second;
    by_time_.erase(by_time_.begin());
    by_key_.erase(key);
    return key;
  }

 private:
  std::map<std::string, std::int64_t> by_key_;
  std::set<std::pair<std::int64_t, std::string>> by_time_;
};

}  // namespace joulefarm::controller
