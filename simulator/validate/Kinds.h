//===- Kinds.h - From a target's fields to our figure -------------*- C++ -*-===//
//
// A kind of target is one function. To add a kind: write the function, and add a row to the
// table in Kinds.cpp.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/DataFile.h"
#include "runtime/onnx/Graph.h"
#include "simulator/validate/Targets.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <map>
#include <memory>
#include <string>

namespace npucc {

/// What our models say, in the group's unit.
struct Figure {
  double value = 0;
  std::string note;   ///< what a reader should know: the batch that was chosen, say
  double highest = 0; ///< what the hardware's peak allows; a published figure above it means that
                      ///< the target's fields misread the measurement. 0: unknown
  double low = 0, high = 0; ///< the interval that our models give; 0: they give none
};

/// A target's fields while a kind reads them.
class Fields : public DataMap {
public:
  Fields(DataFile &file, const DataNode &node) : DataMap(file, &node, ""), file(file) {}
  /// To call when all fields were asked for: unknown keys, and what else was wrong.
  llvm::Error done() {
    finish();
    return file.takeError();
  }
  void error(const DataNode &at, const llvm::Twine &message) { file.error(at, message); }
  /// An element of a list.
  bool numberAt(const DataNode &node, llvm::StringRef what, double low, double high, double &out) {
    return readNumber(file, node, what, low, high, out);
  }

private:
  DataFile &file;
};

/// Networks that several targets use are loaded once.
class Networks {
public:
  /// A file or a network of the zoo; `dims` bind symbolic dimensions.
  llvm::Expected<const Graph *> get(const std::string &name,
                                    const std::map<std::string, int64_t> &dims);

private:
  std::map<std::string, std::unique_ptr<Model>> loaded;
};

struct Kind {
  llvm::StringRef name, description;
  llvm::Expected<Figure> (*evaluate)(Fields &fields, Networks &networks);
  /// Targets that models/ has already, by the name of the set (`targets: NAME`); nullptr: none.
  llvm::Expected<std::vector<Target>> (*set)(llvm::StringRef name) = nullptr;
};

llvm::ArrayRef<Kind> kinds();

} // namespace npucc
