// Runs once, when the store's volume is empty: the user that the orchestrator connects as may use its database only.
db.getSiblingDB("admin").createUser({
  user: "batuta",
  pwd: process.env.BATUTA_PASSWORD,
  roles: [{ role: "readWrite", db: "saga" }],
});
