# Short names for what is done every day. The commands are in the README; this only saves typing.
.PHONY: build test ci run cluster publish format bench clean

build:
	dotnet build
test:
	dotnet test
ci:
	.ci/run
run:
	dotnet run --project Raft.Host
cluster:
	dotnet run --project Raft.Host -- --dev-cluster 3
# Compiled ahead of time: it starts in about two thirds of the time.
publish:
	dotnet publish Raft.Host -c Release -r linux-x64 --self-contained false -p:PublishReadyToRun=true -o artifacts/raft-host
format:
	dotnet format
bench:
	dotnet run --project Raft.Bench -c Release
clean:
	dotnet clean
