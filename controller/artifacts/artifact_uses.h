// Which contents of the artifact directory are in use right now, by running pushes and fetches.
//
// Thread rule: any thread. Ownership: shared by the directory and everything opened in it; a Use
// counts as long as it lives.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace joulefarm::controller {

class ArtifactUses {
 public:
  // Held by whoever reads or writes a content: it is not collected meanwhile.
  class Use {
   public:
    Use(std::shared_ptr<ArtifactUses> uses, std::string sha256)
        : uses_(std::move(uses)), sha256_(std::move(sha256)) {
      const std::lock_guard<std::mutex> lock(uses_->mutex_);
      ++uses_->counts_[sha256_];
    }
    ~Use() {
      const std::lock_guard<std::mutex> lock(uses_->mutex_);
      if (writes_) uses_->writing_.erase(sha256_);
      const auto it = uses_->counts_.find(sha256_);
      if (--it->second == 0) uses_->counts_.erase(it);
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    // Takes the content's partial file for itself; false when another push has it.
    bool TakePartial() {
      const std::lock_guard<std::mutex> lock(uses_->mutex_);
      writes_ = uses_->writing_.insert(sha256_).second;
      return writes_;
    }

   private:
    const std::shared_ptr<ArtifactUses> uses_;
    const std::string sha256_;
    bool writes_ = false;
  };

  bool IsWriting(const std::string& sha256) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return writing_.count(sha256) != 0;
  }

  bool InUse(const std::string& sha256) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_.count(sha256) != 0;
  }

  // Calls `work` while nobody can begin to use the content; false when somebody does already.
  template <typename Work>
  bool WhileUnused(const std::string& sha256, Work work) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (counts_.count(sha256) != 0) return false;
    work();
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> counts_;  // guarded by mutex_
  std::set<std::string> writing_;      // guarded by mutex_
};

}  // namespace joulefarm::controller
