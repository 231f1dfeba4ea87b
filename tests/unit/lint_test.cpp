// The command lint: files, lines, exit codes, and objects that stand by themselves.
#include "lint/lint.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include "lint/documents.h"
#include "lint/known_fields.h"

namespace lambda::lint {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// "3 NoRetries spec.trigger.delivery.retry"
std::vector<std::string> found_in(const std::string& text) {
  std::vector<std::string> out;
  const Report report = check(text);
  for (const std::string& problem : report.unreadable) out.push_back("unreadable " + problem);
  for (const Located& located : report.findings)
    out.push_back(std::to_string(located.line) + " " + located.finding.reason + " " + located.finding.field);
  return out;
}

std::vector<std::string> reasons_in(const std::string& text) {
  std::vector<std::string> out;
  for (const Located& located : check(text).findings) out.push_back(located.finding.reason);
  return out;
}

const std::string safe = R"(apiVersion: lambda.notifi.network/v1alpha1
kind: JobQueue
metadata:
  name: jobs
  namespace: apps
spec:
  rabbitmq: {connectionSecret: {name: rabbitmq}}
  path: amqp
  queue: {overflow: reject-publish}
  deadLetter: {strategy: at-least-once}
)";

TEST(Lint, FindsNothingInAQueueThatLosesNothing) {
  const Report report = check(safe);
  EXPECT_THAT(found_in(safe), IsEmpty());
  EXPECT_EQ(report.objects, 1U);
}

TEST(Lint, NamesTheLineOfTheFieldOrOfWhatItIsMissingIn) {
  EXPECT_THAT(found_in(safe + "  deletionPolicy: Delete\n"),
              ElementsAre("11 DeletesMessages spec.deletionPolicy"));
  EXPECT_THAT(
      found_in(R"(apiVersion: lambda.notifi.network/v1alpha1
kind: JobQueue
metadata: {name: jobs}
spec:
  path: amqp
  rabbitmq: {connectionSecret: {name: rabbitmq}}
  deadLetter:
    queue: jobs.dead
)"),
      ElementsAre("4 EvictsOldest spec.queue.overflow", "7 AtMostOnceDeadLetters spec.deadLetter.strategy"));
}

TEST(Lint, ReadsEveryDocumentAndEveryItemOfAList) {
  const std::string list = R"(
apiVersion: v1
kind: List
items:
  - apiVersion: lambda.notifi.network/v1alpha1
    kind: JobQueue
    metadata: {name: one}
    spec:
      rabbitmq: {connectionSecret: {name: rabbitmq}}
      path: amqp
      queue: {overflow: reject-publish}
      deadLetter: {strategy: at-least-once, maxLength: 5}
)";
  EXPECT_THAT(found_in(safe + "---\n---\n" + list),
              ElementsAre("24 DeadLettersBounded spec.deadLetter.maxLength"));
  EXPECT_EQ(check(safe + "---\n" + list + "---\nkind: ConfigMap\napiVersion: v1\n").objects, 2U);
}

TEST(Lint, ReadsJson) {
  json object = json::parse(R"({"apiVersion": "lambda.notifi.network/v1alpha1", "kind": "JobQueue",
    "metadata": {"name": "jobs"},
    "spec": {"rabbitmq": {"connectionSecret": {"name": "r"}}, "path": "amqp", "deletionPolicy": "Delete",
             "queue": {"overflow": "reject-publish"}, "deadLetter": {"strategy": "at-least-once"}}})");
  EXPECT_THAT(reasons_in(object.dump()), ElementsAre("DeletesMessages"));
  EXPECT_THAT(reasons_in(object.dump(2)), ElementsAre("DeletesMessages"));
  EXPECT_THAT(reasons_in(object.dump(1, '\t')), ElementsAre("DeletesMessages"));
}

TEST(Lint, RefusesWhatTheSchemaRefuses) {
  EXPECT_THAT(found_in(safe + "  driftInterval: 1s\n"), Contains("11 InvalidField spec.driftInterval"));
  EXPECT_THAT(found_in(safe + "  driftIntervall: 1m\n"), ElementsAre("11 UnknownField spec.driftIntervall"));
  EXPECT_THAT(found_in(safe + "  trigger:\n    filters: [{exact: {type: a}}]\n"),
              ElementsAre("12 FiltersIgnored spec.trigger.filters"));
  EXPECT_THAT(found_in(safe + "  trigger: {filter: {anything: a}}\n"), IsEmpty());
  EXPECT_THAT(found_in("apiVersion: lambda.notifi.network/v1alpha1\nkind: JobQueue\n"),
              testing::IsSupersetOf({"1 InvalidField metadata.name", "1 InvalidField spec"}));
}

TEST(Lint, RefusesARedriveThatCantBe) {
  EXPECT_THAT(found_in(R"(
apiVersion: lambda.notifi.network/v1alpha1
kind: DeadLetterRedrive
metadata: {name: again}
spec:
  queueRef: {name: jobs}
  rate: fast
  filter: {tenant: acme}
)"),
              ElementsAre("7 InvalidField spec.rate", "8 UnknownField spec.filter.tenant"));
}

// --- Knative's and RabbitMQ's objects by themselves ---

std::string trigger(const std::string& spec, const std::string& parallelism = "20") {
  return R"(
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: t
  annotations: {rabbitmq.eventing.knative.dev/parallelism: ")" +
         parallelism + "\"}\nspec:\n  broker: default\n" + spec;
}

const std::string good_delivery =
    "  delivery: {retry: 5, backoffDelay: PT0.5S, timeout: PT30S, deadLetterSink: {uri: http://sink}}\n";

TEST(LintOfATrigger, FindsNothingWhereThereIsNothing) {
  EXPECT_THAT(found_in(trigger(good_delivery)), IsEmpty());
}

TEST(LintOfATrigger, FindsWhatIsLost) {
  EXPECT_THAT(found_in(trigger("  filters: [{exact: {type: a}}]\n" + good_delivery)),
              ElementsAre("9 FiltersIgnored spec.filters"));
  EXPECT_THAT(reasons_in(trigger("")), ElementsAre("NoRetries"));
  EXPECT_THAT(reasons_in(trigger("  delivery: {retry: 5, backoffDelay: PT1S, timeout: PT30S}\n")),
              ElementsAre("GivenUpIsLost"));
  EXPECT_THAT(
      reasons_in(trigger("  delivery: {retry: 0, timeout: PT30S, deadLetterSink: {uri: http://s}}\n")),
      ElementsAre("NoRetries"));
  EXPECT_THAT(reasons_in(trigger("  delivery: {backoffDelay: PT1S, deadLetterSink: {uri: http://s}}\n")),
              ElementsAre("TimeoutMissing"));
  EXPECT_THAT(reasons_in(trigger(
                  "  delivery: {backoffDelay: PT1S, timeout: PT5S, deadLetterSink: {uri: http://s}}\n")),
              ElementsAre("TimeoutTooShort"));
  EXPECT_THAT(reasons_in(trigger(good_delivery, "1")), ElementsAre("PrefetchOutlastsConsumerTimeout"));
  EXPECT_THAT(found_in(trigger(good_delivery, "500")),
              ElementsAre("6 ParallelismAboveBuilderQueue "
                          "metadata.annotations.rabbitmq.eventing.knative.dev/parallelism"));
}

std::string queue(const std::string& spec) {
  return "apiVersion: rabbitmq.com/v1beta1\nkind: Queue\nmetadata: {name: q}\nspec:\n  name: q\n  durable: "
         "true\n" +
         spec;
}

TEST(LintOfAQueue, FindsWhatTheBrokerDoesOtherwise) {
  EXPECT_THAT(reasons_in(queue("  type: quorum\n")), IsEmpty());
  EXPECT_THAT(reasons_in(queue("  type: quorum\n  arguments: {x-overflow: reject-publish-dlx}\n")),
              testing::UnorderedElementsAre("RejectPublishDlxOnQuorum", "ArgumentsImmutable"));
  EXPECT_THAT(reasons_in(queue("  type: quorum\n  arguments: {x-max-priority: 5}\n")),
              ElementsAre("ArgumentRefused"));
  EXPECT_THAT(reasons_in("apiVersion: rabbitmq.com/v1beta1\nkind: Queue\nspec: {name: q, type: quorum}\n"),
              ElementsAre("ArgumentRefused"));
  EXPECT_THAT(reasons_in(queue("  type: quorum\n  arguments: {x-dead-letter-routing-key: a}\n")),
              ElementsAre("NoDeadLetterExchange"));
  EXPECT_THAT(reasons_in(queue("  type: quorum\n  arguments: {x-dead-letter-exchange: '', "
                               "x-dead-letter-routing-key: q}\n")),
              Contains("DeadLetterLoop"));
  EXPECT_THAT(reasons_in(queue("  type: classic\n  arguments: {x-dead-letter-exchange: dlx, "
                               "x-dead-letter-strategy: at-least-once}\n")),
              testing::IsSupersetOf(
                  {"AtLeastOnceNeedsQuorum", "AtLeastOnceNeedsRejectPublish", "DeadLetterExchangeUnbound"}));
}

std::string policy(const std::string& definition, const std::string& pattern = "^q$") {
  return "apiVersion: rabbitmq.com/v1beta1\nkind: Policy\nmetadata: {name: p}\nspec:\n  pattern: " + pattern +
         "\n  definition: " + definition + "\n";
}

TEST(LintOfAPolicy, FindsWhatTheBrokerDoesOtherwise) {
  EXPECT_THAT(reasons_in(policy("{max-length: 5, overflow: reject-publish}")), IsEmpty());
  EXPECT_THAT(reasons_in(policy("{max-length: 5}")), ElementsAre("EvictsOldest"));
  EXPECT_THAT(reasons_in(policy("{max-length: 5, overflow: reject-publish}", "q")),
              ElementsAre("PatternNotAnchored"));
  EXPECT_THAT(reasons_in(policy("{dead-letter-strategy: at-least-once, overflow: reject-publish}")),
              ElementsAre("NoDeadLetterExchange"));
}

TEST(LintOfASource, FindsWhatItDeclaresAndWhenItGivesUp) {
  const auto source = [](const std::string& spec) {
    return "apiVersion: sources.knative.dev/v1alpha1\nkind: RabbitmqSource\nmetadata: {name: s}\nspec:\n" +
           spec;
  };
  EXPECT_THAT(reasons_in(source("  rabbitmqResourcesConfig: {predeclared: true}\n"
                                "  delivery: {retry: 5, backoffDelay: PT0.5S}\n")),
              IsEmpty());
  EXPECT_THAT(
      reasons_in(source("  rabbitmqResourcesConfig: {queueName: q, parallelism: 200}\n")),
      testing::UnorderedElementsAre("SourceDeclaresQueue", "NoRetries", "ParallelismAboveBuilderQueue"));
}

TEST(Lint, LooksForWhatIsBoundToADeadLetterExchangeInAllObjects) {
  const std::string dead = queue("  type: quorum\n  arguments: {x-dead-letter-exchange: dlx}\n");
  const std::string binding =
      "---\napiVersion: rabbitmq.com/v1beta1\nkind: Binding\nspec:\n  source: dlx\n  destination: d\n";
  EXPECT_THAT(found_in(dead), Contains("8 DeadLetterExchangeUnbound spec.arguments.x-dead-letter-exchange"));
  EXPECT_THAT(reasons_in(dead + binding), Not(Contains("DeadLetterExchangeUnbound")));
  EXPECT_THAT(reasons_in(dead + binding + "  vhost: other\n"), Contains("DeadLetterExchangeUnbound"));
}

// --- reading ---

json value_of(const std::string& text) {
  const auto documents = read_documents("v: " + text);
  return documents && documents->size() == 1 ? documents->front().value["v"] : json("unreadable");
}

TEST(Documents, GiveScalarsTheTypesThatKubectlGivesThem) {
  EXPECT_EQ(value_of("5"), 5);
  EXPECT_EQ(value_of("-5"), -5);
  EXPECT_EQ(value_of("0x1F"), 31);
  EXPECT_EQ(value_of("18446744073709551615"), 18446744073709551615ULL);
  EXPECT_EQ(value_of("1.5"), 1.5);
  EXPECT_EQ(value_of("1e3"), 1000.0);
  EXPECT_EQ(value_of("true"), true);
  EXPECT_EQ(value_of("off"), false);
  EXPECT_EQ(value_of("~"), json());
  EXPECT_EQ(value_of(""), json());
  for (const char* text : {"24h", "1.2.3", "e5", "PT30S", "2026-01-01T00:00:00Z", ".", "nan"})
    EXPECT_EQ(value_of(text), text);
  EXPECT_EQ(value_of("\"5\""), "5");
  EXPECT_EQ(value_of("'true'"), "true");
  EXPECT_EQ(value_of("!!str 5"), "5");
}

TEST(Documents, FollowAliasesButNotForEver) {
  EXPECT_THAT(reasons_in("x: &q {overflow: reject-publish}\n---\n" + safe), IsEmpty());
  EXPECT_EQ(read_documents("a: &x [1, 2]\nb: *x\n")->front().value,
            json::parse(R"({"a": [1, 2], "b": [1, 2]})"));
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int k = 0; k < 9; ++k) bomb += ", " + last;
    bomb += "]\n";
  }
  EXPECT_THAT(read_documents(bomb).error().message, HasSubstr("holds too much"));
}

TEST(Documents, SayOnWhichLineTheyCantBeRead) {
  EXPECT_THAT(read_documents("a: 1\nb: [1\nc: 2\n").error().message, testing::StartsWith("line "));
  EXPECT_THAT(read_documents("a: 1\na: 2\n").error().message,
              HasSubstr("line 2: has the key a a second time"));
  EXPECT_FALSE(read_documents("[a]: 1\n"));
  EXPECT_TRUE(read_documents("")->empty());
  EXPECT_TRUE(read_documents("# nothing\n---\n")->empty());
}

// --- the command ---

class Command : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + "lint_" + name;
    std::ofstream(path) << text;
    return path;
  }

  int run_on(const std::vector<std::string>& files, bool strict = false) {
    out_.str("");
    err_.str("");
    return run(files, strict, out_, err_);
  }

  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(Command, ExitsWithWhatItFound) {
  const std::string clean = file("clean.yaml", safe);
  const std::string warned = file("warned.yaml", safe + "  deletionPolicy: Delete\n");
  const std::string wrong = file("wrong.yaml", safe + "  unknown: 1\n");
  const std::string broken = file("broken.yaml", "a: [");
  EXPECT_EQ(run_on({clean}), exit_clean);
  EXPECT_EQ(out_.str(), "lint: 0 errors, 0 warnings in 1 object\n");
  EXPECT_EQ(run_on({warned}), exit_clean);
  EXPECT_THAT(out_.str(), HasSubstr(warned + ":11: warning: JobQueue apps/jobs: spec.deletionPolicy: "));
  EXPECT_THAT(out_.str(), HasSubstr("[DeletesMessages]\n    Write deletionPolicy: Retain.\n"));
  EXPECT_EQ(run_on({warned}, true), exit_findings);
  EXPECT_EQ(run_on({clean, wrong}), exit_findings);
  EXPECT_THAT(out_.str(), EndsWith("lint: 1 error, 0 warnings in 2 objects\n"));
  EXPECT_EQ(run_on({broken, wrong}), exit_unreadable);
  EXPECT_THAT(err_.str(), HasSubstr(broken + ": line "));
  EXPECT_THAT(out_.str(), HasSubstr("UnknownField")) << "the others are read all the same";
  EXPECT_EQ(run_on({"/nowhere/at/all.yaml"}), exit_unreadable);
  EXPECT_EQ(err_.str(), "/nowhere/at/all.yaml: can't be read\n");
  EXPECT_EQ(run_on({testing::TempDir()}), exit_unreadable);
}

TEST_F(Command, TakesTheSamples) {
  const std::string samples = LAMBDA_SOURCE_DIR "/manifests/samples/";
  EXPECT_EQ(run_on({samples + "jobqueue.yaml", samples + "jobqueue-source.yaml",
                    samples + "jobqueue-amqp.yaml", samples + "deadletterredrive.yaml"}),
            exit_clean)
      << out_.str();
  EXPECT_EQ(run_on({samples + "jobqueue-amqp.yaml", samples + "jobqueue-source.yaml"}, true), exit_clean)
      << out_.str();
  EXPECT_EQ(run_on({samples + "jobqueue.yaml"}, true), exit_findings);
}

// --- the schemas ---

void add_paths(const YAML::Node& schema, const std::string& path, std::set<std::string>& paths) {
  if (schema["additionalProperties"]) {
    paths.insert(path + ".*");
  } else if (!schema["properties"]) {
    paths.insert(path);
  } else {
    for (const auto& property : schema["properties"])
      add_paths(property.second, path + "." + property.first.as<std::string>(), paths);
  }
}

TEST(KnownFields, AreThoseOfTheSchemas) {
  for (const std::string& kind : {"JobQueue", "DeadLetterRedrive"}) {
    std::string plural = kind + "s";
    std::transform(plural.begin(), plural.end(), plural.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    const YAML::Node crd =
        YAML::LoadFile(LAMBDA_SOURCE_DIR "/manifests/crds/lambda.notifi.network_" + plural + ".yaml");
    std::set<std::string> paths;
    add_paths(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec", paths);
    const std::vector<std::string> known = known_fields(kind);
    EXPECT_EQ(paths, std::set<std::string>(known.begin(), known.end()));
  }
}

}  // namespace
}  // namespace lambda::lint
