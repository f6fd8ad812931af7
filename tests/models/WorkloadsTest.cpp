//===- WorkloadsTest.cpp - The zoo against the shared list of workloads -------===//
//
// shared/refdata/workloads.yaml has parameters and multiply-accumulates that were added up from
// published shapes, without this project's code. Every workload there is a network of the zoo, and
// both numbers are equal. Where the list counts less than a graph has, the test leaves the same
// layers out, by name.
//
//===----------------------------------------------------------------------===//

#include "models/machine/DataFile.h"
#include "models/zoo/Zoo.h"
#include "runtime/onnx/Loader.h"
#include "tests/runtime/TestSupport.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"

#include <catch2/catch.hpp>

#include <set>

using namespace npucc;

namespace {

using Dims = std::map<std::string, int64_t>;

/// What workloads.yaml says of one workload.
class Workload {
public:
  explicit Workload(const DataNode &node) : node(node) {}
  std::string name() const { return find(node, "name")->scalar; }
  const DataNode *list(const char *key) const { return find(node, key); }
  bool hasTotal(const char *key) const { return find(*find(node, "totals"), key); }
  int64_t total(const char *key) const { return number(*find(node, "totals"), key); }

  static const DataNode *find(const DataNode &map, llvm::StringRef key) {
    for (const DataNode &child : map.children)
      if (child.key == key)
        return &child;
    return nullptr;
  }
  static int64_t number(const DataNode &map, llvm::StringRef key) {
    const DataNode *value = find(map, key);
    REQUIRE(value);
    int64_t result = 0;
    REQUIRE_FALSE(llvm::StringRef(value->scalar).getAsInteger(10, result));
    return result;
  }

private:
  const DataNode &node;
};

const std::map<std::string, std::string> kZooNames = {
    {"resnet50-v1.5", "resnet50"},    {"mobilenet-v2-1.0-224", "mobilenet-v2"},
    {"bert-base", "bert-base"},       {"bert-large", "bert-large"},
    {"vit-b16-224", "vit-b16"},       {"gpt2-124m", "gpt2"},
    {"gpt-j-6b", "gptj-6b"},          {"llama2-7b", "llama2-7b"},
    {"llama2-70b", "llama2-70b"},     {"llama3-8b", "llama3-8b"},
    {"mixtral-8x7b", "mixtral-8x7b"}, {"flux.1-dev", "flux1-dev"},
    {"sd-1.5-unet-512", "sd15-unet"}};

ZooNetwork prepared(const std::string &name, const Dims &dims) {
  auto network = buildZoo(name);
  if (!network)
    FAIL(llvm::toString(network.takeError()));
  Bindings bindings;
  bindings.dims = dims;
  bindings.defaults = network->defaultDims;
  if (auto error = prepare(network->model, bindings))
    FAIL(name << ": " << llvm::toString(std::move(error)));
  removeEmpty(network->model.graph);
  return std::move(*network);
}

int64_t macs(const std::string &name, const Dims &dims) {
  return countMacs(prepared(name, dims).model.graph);
}

/// MACs of each node that has some, the smallest first.
std::vector<int64_t> macsOfNodes(const Graph &graph) {
  std::vector<int64_t> all;
  Graph one = graph;
  for (const Node &node : graph.nodes) {
    one.nodes = {node};
    if (int64_t count = countMacs(one))
      all.push_back(count);
  }
  llvm::sort(all);
  return all;
}

/// Those of the list's layers; attention's two products count apart.
std::vector<int64_t> macsOfLayers(const DataNode &layers) {
  std::vector<int64_t> all;
  for (const DataNode &layer : layers.children) {
    int64_t count = Workload::number(layer, "macs");
    bool attention = Workload::find(layer, "op")->scalar == "attention";
    all.insert(all.end(), attention ? 2 : 1, attention ? count / 2 : count);
  }
  llvm::sort(all);
  return all;
}

void checkMacs(const Workload &workload, const std::string &zoo) {
  size_t checked = 0;
  auto equal = [&](const char *key, int64_t ours) {
    INFO(key);
    CHECK(ours == workload.total(key));
    ++checked;
  };
  if (workload.hasTotal("macs"))
    equal("macs", macs(zoo, {{"batch", 1}}));
  if (workload.hasTotal("macs_s128")) {
    equal("macs_s128", macs(zoo, {{"batch", 1}, {"seq", 128}}));
    equal("macs_s384", macs(zoo, {{"batch", 1}, {"seq", 384}}));
    equal("macs_s512", macs(zoo, {{"batch", 1}, {"seq", 512}}));
  }
  if (workload.hasTotal("linear_macs_per_token_incl_lm_head")) {
    // A token attends to itself and to those before it.
    int64_t perPosition = workload.total("attn_macs_per_token_per_kv_pos");
    for (int64_t past : {0, 1, 512, 2048}) {
      INFO("past " << past);
      CHECK(macs(zoo, {{"batch", 1}, {"seq", 1}, {"past", past}}) ==
            workload.total("linear_macs_per_token_incl_lm_head") + perPosition * (past + 1));
    }
    ++checked;
  }
  if (workload.hasTotal("macs_per_forward"))
    equal("macs_per_forward", macs(zoo, {{"batch", 1}}));
  if (workload.hasTotal("macs_per_step_1024px_txt512")) {
    // The list sums over blocks, the two embeddings of tokens and the last layer; not over the
    // embeddings of time, guidance and text vector, nor the last modulation, of one row each.
    Graph graph = prepared(zoo, {{"batch", 1}}).model.graph;
    int64_t all = countMacs(graph);
    llvm::erase_if(graph.nodes, [](const Node &node) {
      llvm::StringRef name = node.name;
      return name.starts_with("time_in") || name.starts_with("guidance_in") ||
             name.starts_with("vector_in") || name.starts_with("final.mod");
    });
    equal("macs_per_step_1024px_txt512", countMacs(graph));
    constexpr int64_t kHidden = 3072, kStep = 256, kVector = 768;
    CHECK(all - countMacs(graph) ==
          2 * (kStep + kHidden) * kHidden + (kVector + kHidden) * kHidden + 2 * kHidden * kHidden);
  }
  // Two decoders have parameters alone.
  CHECK((checked > 0 || zoo == "gpt2" || zoo == "gptj-6b"));
}

} // namespace

TEST_CASE("the zoo is what the list of workloads says", "[zoo][workloads]") {
  std::string folder = test::sharedFolder();
  std::string path = folder + "/refdata/workloads.yaml";
  if (folder.empty() || !llvm::sys::fs::exists(path)) {
    WARN("no " << path << ": skipped");
    return;
  }
  auto text = readDataText(path);
  REQUIRE(bool(text));
  DataFile file(path);
  DataNode root = file.parse(*text);
  if (auto error = file.takeError())
    FAIL(llvm::toString(std::move(error)));
  std::set<std::string> seen;
  for (const DataNode &node : Workload::find(root, "models")->children) {
    Workload workload(node);
    INFO(workload.name());
    REQUIRE(kZooNames.count(workload.name()) == 1);
    std::string zoo = kZooNames.at(workload.name());
    seen.insert(zoo);
    auto network = buildZoo(zoo);
    REQUIRE(bool(network));
    CHECK(countParameters(network->model) ==
          workload.total(workload.hasTotal("params") ? "params" : "params_computed"));
    checkMacs(workload, zoo);
    const DataNode *layers = workload.list("layers"); // of encoders: their number
    if (layers && layers->kind == DataNode::Kind::List)
      CHECK(macsOfNodes(prepared(zoo, {{"batch", 1}}).model.graph) == macsOfLayers(*layers));
  }
  CHECK(seen.size() == kZooNames.size());
  auto names = listZoo();
  REQUIRE(bool(names));
  CHECK(names->size() == seen.size());
}
