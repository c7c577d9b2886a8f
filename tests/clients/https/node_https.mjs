import https from "node:https";

https.get(process.argv[2], (answer) => answer.pipe(process.stdout)).on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
